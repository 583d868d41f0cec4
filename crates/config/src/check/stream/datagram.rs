//! The transports over UDP: `quic` and `mkcp`.

use std::time::Duration;

use crate::checked::{DatagramSecurity, MkcpSettings, PacketHeader, QuicSettings, Secret};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field, QuicSecurity};

use super::super::missing;
use super::{choice, within};

/// MB/s: what u32 holds, in v2ray's arithmetic too.
const MAX_CAPACITY: u32 = 4095;
/// MiB for each connection.
const MAX_BUFFER: u32 = 256;

/// Settings that are written; without any, v2ray seals datagrams with a key that everybody knows.
pub(super) fn quic(raw: &raw::QuicSettings, context: &mut Context<'_>) -> QuicSettings {
    let security = match raw.security.spanned() {
        None => DatagramSecurity::None,
        Some((security, _)) if security.0.is_empty() => DatagramSecurity::None,
        Some((security, span)) => {
            match choice(&security.0, span, QuicSecurity::CHOICES, "security of QUIC", context) {
                Some("aes-128-gcm") => DatagramSecurity::Aes128Gcm,
                Some("chacha20-poly1305") => DatagramSecurity::ChaCha20Poly1305,
                _ => DatagramSecurity::None,
            }
        }
    };
    if let Some((_, span)) = raw.key.filled().filter(|_| security == DatagramSecurity::None) {
        let message = "`key` has no effect: without `security` nothing is sealed with it";
        context.add(Fault::warning(span, "no-effect", message));
    }
    QuicSettings {
        security,
        key: Secret(raw.key.text().to_owned()),
        header: header(raw.header.value(), context),
    }
}

pub(super) fn mkcp(raw: Option<&raw::KcpSettings>, context: &mut Context<'_>) -> MkcpSettings {
    let Some(raw) = raw else { return MkcpSettings::default() };
    let mut buffer = |field| match within(field, 2, 0..=MAX_BUFFER, context) {
        0 => 512 * 1024,
        mebibytes => mebibytes as usize * 1024 * 1024,
    };
    let (read_buffer, write_buffer) =
        (buffer(&raw.read_buffer_size), buffer(&raw.write_buffer_size));
    MkcpSettings {
        mtu: within(&raw.mtu, 1350, 576..=1460, context),
        tti: Duration::from_millis(within(&raw.tti, 50, 10..=100, context).into()),
        uplink: within(&raw.uplink_capacity, 5, 0..=MAX_CAPACITY, context),
        downlink: within(&raw.downlink_capacity, 20, 0..=MAX_CAPACITY, context),
        congestion: raw.congestion.or(false),
        read_buffer,
        write_buffer,
        header: header(raw.header.value(), context),
        seed: raw.seed.value().map(|seed| Secret(seed.clone())),
    }
}

const HEADERS: [(&str, PacketHeader); 6] = [
    ("none", PacketHeader::None),
    ("srtp", PacketHeader::Srtp),
    ("utp", PacketHeader::Utp),
    ("wechat-video", PacketHeader::WechatVideo),
    ("dtls", PacketHeader::Dtls),
    ("wireguard", PacketHeader::Wireguard),
];

fn header(raw: Option<&raw::PacketHeader>, context: &mut Context<'_>) -> PacketHeader {
    const NAMES: &[&str] = &["none", "srtp", "utp", "wechat-video", "dtls", "wireguard"];
    let Some(raw) = raw else { return PacketHeader::None };
    let Some((kind, span)) = raw.r#type.filled() else {
        if !matches!(raw.r#type, Field::Faulty) {
            missing(raw.span, "type", context);
        }
        return PacketHeader::None;
    };
    let name = choice(kind, span, NAMES, "packet header", context);
    let found = HEADERS.iter().find(|(known, _)| Some(*known) == name);
    found.map_or(PacketHeader::None, |(_, header)| *header)
}
