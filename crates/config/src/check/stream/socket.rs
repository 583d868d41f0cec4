//! `sockopt`.

use std::time::Duration;

use crate::checked::{SocketSettings, Tproxy};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, TproxyMode};

use super::{Side, choice, device, ip, within};

/// What the kernel takes for TCP_KEEPIDLE and TCP_KEEPINTVL.
const MAX_KEEP_ALIVE: u32 = 32_767;
const FAST_OPEN_QUEUE: u32 = 4096;

pub(super) fn settings(
    raw: &raw::StreamSettings,
    side: Side,
    context: &mut Context<'_>,
) -> SocketSettings {
    let absent = raw::Sockopt::default();
    let raw = raw.sockopt.value().unwrap_or(&absent);
    let mut seconds = |field| match within(field, 0, 0..=MAX_KEEP_ALIVE, context) {
        0 => None,
        seconds => Some(Duration::from_secs(seconds.into())),
    };
    let keep_alive_idle = seconds(&raw.tcp_keep_alive_idle);
    let keep_alive_interval = seconds(&raw.tcp_keep_alive_interval);
    let limit = i32::MAX as u32;
    let bind = ip(&raw.bind_address, context);
    if let (Some(_), Side::Listener) = (bind, side) {
        let span = raw.bind_address.span_or(raw.span);
        let message = "`bindAddress` has no effect: a listener has its `address`";
        context.add(Fault::warning(span, "no-effect", message));
    }
    SocketSettings {
        mark: raw.mark.or(0),
        fast_open: raw.tcp_fast_open.value().copied(),
        fast_open_queue: within(
            &raw.tcp_fast_open_queue_length,
            FAST_OPEN_QUEUE,
            1..=limit,
            context,
        ),
        tproxy: tproxy(raw, context),
        keep_alive_idle,
        keep_alive_interval,
        device: device(&raw.bind_to_device, context),
        receive_buffer: within(&raw.rx_buf_size, 0, 0..=limit, context),
        send_buffer: within(&raw.tx_buf_size, 0, 0..=limit, context),
        force_buffers: raw.force_buf_size.or(false),
        mptcp: raw.mptcp.or(false),
        bind: bind.filter(|_| side == Side::Cluster),
    }
}

fn tproxy(raw: &raw::Sockopt, context: &mut Context<'_>) -> Tproxy {
    let Some((mode, span)) = raw.tproxy.spanned() else { return Tproxy::Off };
    match choice(&mode.0, span, TproxyMode::CHOICES, "mode of `tproxy`", context) {
        Some("redirect") => Tproxy::Redirect,
        Some("tproxy") => Tproxy::Tproxy,
        _ => Tproxy::Off,
    }
}
