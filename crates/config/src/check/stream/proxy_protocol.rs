//! The PROXY protocol.

use crate::checked::{ProxyProtocol, ProxyProtocolVersion, TransportSettings};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field, ProxyVersion};
use crate::text::Span;

use super::super::stream_proxy::parse_range;
use super::{Side, choice};

/// Bytes of all TLVs with their heads. A header has 16 bits for its length; receivers take far less.
const MAX_TLVS: usize = 4096;

pub(super) fn settings(
    raw: &raw::StreamSettings,
    transport: &TransportSettings,
    side: Side,
    context: &mut Context<'_>,
) -> ProxyProtocol {
    let absent = raw::ProxyProtocol::default();
    let own = raw.proxy_protocol.value().unwrap_or(&absent);
    let accept = accepted(raw, transport).filter(|span| match (side, transport.is_datagram()) {
        (Side::Cluster, _) => {
            let message = "this has no effect: only a listener accepts the PROXY protocol";
            context.add(Fault::warning(*span, "no-effect", message));
            false
        }
        (_, true) => {
            let message = "the PROXY protocol is not accepted over UDP";
            context.add(Fault::error(*span, "not-supported", message));
            false
        }
        _ => true,
    });
    let send = send(own, side, context);
    let trusted = trusted(own, context);
    if let (Some((_, span)), None, Side::Listener) = (own.trusted.spanned(), accept, side) {
        let message = "`trusted` has no effect: the PROXY protocol is not accepted";
        context.add(Fault::warning(span, "no-effect", message).help("add `\"accept\": true`"));
    }
    ProxyProtocol { accept: accept.is_some(), trusted, send, tlvs: tlvs(own, send, context) }
}

/// Where it is said that the PROXY protocol is accepted. Every place counts, other than in v2ray.
fn accepted(raw: &raw::StreamSettings, transport: &TransportSettings) -> Option<Span> {
    let of_transport = match transport {
        TransportSettings::Tcp(_) => {
            raw.tcp_settings.value().map(|settings| &settings.accept_proxy_protocol)
        }
        TransportSettings::WebSocket(_) => {
            raw.ws_settings.value().map(|settings| &settings.accept_proxy_protocol)
        }
        _ => None,
    };
    let of_socket = raw.sockopt.value().map(|sockopt| &sockopt.accept_proxy_protocol);
    let own = raw.proxy_protocol.value().map(|own| &own.accept);
    let said =
        |field: &Field<bool>| field.spanned().filter(|(said, _)| **said).map(|(_, span)| span);
    [of_transport, of_socket, own].into_iter().flatten().find_map(said)
}

fn send(
    raw: &raw::ProxyProtocol,
    side: Side,
    context: &mut Context<'_>,
) -> Option<ProxyProtocolVersion> {
    let (version, span) = raw.send.spanned()?;
    let version = choice(&version.0, span, ProxyVersion::CHOICES, "version", context)?;
    if side == Side::Listener {
        let message = "`send` has no effect: only a cluster sends the PROXY protocol";
        context.add(Fault::warning(span, "no-effect", message));
        return None;
    }
    Some(if version == "v1" { ProxyProtocolVersion::V1 } else { ProxyProtocolVersion::V2 })
}

fn trusted(raw: &raw::ProxyProtocol, context: &mut Context<'_>) -> Vec<crate::checked::CidrRange> {
    let mut ranges = Vec::new();
    for text in raw.trusted.items() {
        match parse_range(&text.value) {
            Some(range) => ranges.push(range),
            None => {
                let message = "this is not a range of addresses";
                let fault = Fault::error(text.span, "bad-range", message);
                context.add(fault.help("write it as `10.0.0.0/8`, or a single IP address"));
            }
        }
    }
    ranges
}

fn tlvs(
    raw: &raw::ProxyProtocol,
    send: Option<ProxyProtocolVersion>,
    context: &mut Context<'_>,
) -> Vec<(u8, Vec<u8>)> {
    let Some((written, span)) = raw.tlvs.spanned() else { return Vec::new() };
    let mut all: Vec<(u8, Vec<u8>)> = Vec::new();
    for (name, span, value) in &written.0 {
        match tlv_type(name) {
            Some(kind) if all.iter().any(|(other, _)| *other == kind) => {
                let message = format!("the type {kind:#04X} is given twice");
                context.add(Fault::error(*span, "duplicate-key", message));
            }
            Some(kind) => all.push((kind, value.as_bytes().to_vec())),
            None => {
                let message = "this is no type of a TLV that has a text";
                let fault = Fault::error(*span, "bad-tlv", message);
                context.add(fault.help("types of one's own are `0xE0` to `0xEF`"));
            }
        }
    }
    if all.iter().map(|(_, value)| value.len() + 3).sum::<usize>() > MAX_TLVS {
        let message = format!("all TLVs together have at most {MAX_TLVS} bytes");
        context.add(Fault::error(span, "too-long", message));
    }
    if !all.is_empty() && send != Some(ProxyProtocolVersion::V2) {
        let message = "`tlvs` has no effect: only version 2 has them";
        context.add(Fault::warning(span, "no-effect", message).help("add `\"send\": \"v2\"`"));
    }
    all
}

/// `0xE0` or `224`. A checksum, padding and the facts of a TLS connection are not for a configuration to claim.
fn tlv_type(text: &str) -> Option<u8> {
    let hexadecimal = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    let kind = match hexadecimal {
        Some(digits) => u8::from_str_radix(digits, 16).ok()?,
        None => text.parse().ok()?,
    };
    matches!(kind, 0x01 | 0x02 | 0x05 | 0x30 | 0xE0..=0xF7).then_some(kind)
}
