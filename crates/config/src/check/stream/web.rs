//! The transports `ws` and `http`.

use std::time::Duration;

use crate::checked::{HttpSettings, WebSocketSettings};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field};

use super::http_header::{check_name, check_value, headers, is_target, is_token};
use super::within;

/// What goes with a handshake must fit into what servers take for a head.
const MAX_EARLY_DATA: u32 = 8192;

pub(super) fn web_socket(
    raw: Option<&raw::WsSettings>,
    context: &mut Context<'_>,
) -> WebSocketSettings {
    let absent = raw::WsSettings::default();
    let raw = raw.unwrap_or(&absent);
    let mut headers = Vec::new();
    for (name, span, value) in raw.headers.value().map(|map| map.0.as_slice()).unwrap_or_default() {
        check_name(name, *span, context);
        check_value(value, *span, context);
        headers.push((name.as_ref().to_owned(), value.clone()));
    }
    if raw.use_browser_forwarding.or(false) {
        let span = raw.use_browser_forwarding.span_or(raw.span);
        let message = "`useBrowserForwarding` is not supported";
        context.add(Fault::error(span, "not-supported", message));
    }
    let early_data_header = raw.early_data_header_name.text().to_owned();
    if let Some((name, span)) = raw.early_data_header_name.filled() {
        check_name(name, span, context);
    }
    let seconds = within(&raw.heartbeat_period, 0, 0..=86_400, context);
    WebSocketSettings {
        path: path(&raw.path, context),
        headers,
        max_early_data: within(&raw.max_early_data, 0, 0..=MAX_EARLY_DATA, context) as usize,
        early_data_header,
        ping_interval: (seconds > 0).then(|| Duration::from_secs(seconds.into())),
    }
}

pub(super) fn http(raw: Option<&raw::HttpSettings>, context: &mut Context<'_>) -> HttpSettings {
    let Some(raw) = raw else { return HttpSettings::default() };
    let default = HttpSettings::default();
    let mut hosts = Vec::new();
    for host in raw.host.value().map(|hosts| hosts.0.as_slice()).unwrap_or_default() {
        if host.value.is_empty() || !is_target(&host.value) || host.value.contains(['/', '@']) {
            let message = "expected a host name, with or without a port";
            context.add(Fault::error(host.span, "bad-host", message));
        }
        hosts.push(host.value.clone());
    }
    let method = match raw.method.filled() {
        Some((method, span)) => {
            if !is_token(method) {
                context.add(Fault::error(span, "bad-method", "this is no method of HTTP"));
            }
            method.to_owned()
        }
        None => default.method,
    };
    HttpSettings {
        hosts: if hosts.is_empty() { default.hosts } else { hosts },
        path: path(&raw.path, context),
        method,
        headers: headers(&raw.headers, context).unwrap_or_default(),
    }
}

/// As v2ray does: a `/` in front where there is none.
fn path(field: &Field<String>, context: &mut Context<'_>) -> String {
    let Some((path, span)) = field.filled() else { return "/".to_owned() };
    if !is_target(path) || path.contains('#') {
        let message = "a path has no spaces, control characters or `#`";
        context
            .add(Fault::error(span, "bad-path", message).help("write them as `%20` and the like"));
    }
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}
