//! HTTP/2 on either side.

use std::time::Duration;

use crate::checked::Http2Settings;
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{Field, Http2Config};

/// The largest window that there is (RFC 9113 section 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;
/// The least that is any good: what every connection begins with.
const MIN_WINDOW: u32 = 65_535;

/// `Http2` of a proxy, or `http2` of a cluster; `default` holds where a key is absent.
pub(super) fn settings(
    raw: &Field<Http2Config>,
    default: Http2Settings,
    context: &mut Context<'_>,
) -> Http2Settings {
    let Some(raw) = raw.value() else { return default };
    let max_concurrent_streams = match raw.max_concurrent_streams.spanned() {
        None => default.max_concurrent_streams,
        Some((0, span)) => {
            context.add(Fault::error(span, "out-of-range", "a connection needs at least 1 stream"));
            default.max_concurrent_streams
        }
        Some((streams, _)) => *streams,
    };
    let mut window = |field: &Field<u32>, default: u32| match field.spanned() {
        None => default,
        Some((bytes, span)) if !(MIN_WINDOW..=MAX_WINDOW).contains(bytes) => {
            let message = format!("a window has {MIN_WINDOW} to {MAX_WINDOW} bytes");
            context.add(Fault::error(span, "out-of-range", message));
            default
        }
        Some((bytes, _)) => *bytes,
    };
    let initial_stream_window =
        window(&raw.initial_stream_window_size, default.initial_stream_window);
    let initial_connection_window =
        window(&raw.initial_connection_window_size, default.initial_connection_window);
    let ping_timeout = match raw.ping_timeout.spanned() {
        Some((timeout, span)) if timeout.is_zero() => {
            context.add(Fault::error(span, "out-of-range", "an answer needs time"));
            default.ping_timeout
        }
        Some((timeout, _)) => *timeout,
        None => default.ping_timeout,
    };
    // Zero is never.
    let time = |field: &Field<Duration>, default| match field.value() {
        Some(time) => Some(*time).filter(|time| !time.is_zero()),
        None => default,
    };
    Http2Settings {
        max_concurrent_streams,
        initial_stream_window,
        initial_connection_window,
        ping_interval: time(&raw.ping_interval, default.ping_interval),
        ping_timeout,
        max_connection_age: time(&raw.max_connection_age, default.max_connection_age),
    }
}
