//! `stream_settings`: how the bytes of a connection travel.
//!
//! What v2ray passes over in silence is an error here: an unknown key or word may be the one that was to protect.

mod datagram;
mod domain_socket;
mod http_header;
mod proxy_protocol;
mod socket;
mod tls;
mod tls_version;
mod web;

pub(super) use http_header::{is_target, is_token};

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rosn_base::Addr;

use crate::checked::{
    DatagramSecurity, QuicSettings, SocketSettings, StreamSettings, TransportSettings,
};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, ExactStream, Field, StreamNetwork, StreamSecurity};
use crate::text::Span;

/// Which end of a connection the settings are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// A listener takes connections.
    Listener,
    /// A cluster dials them.
    Cluster,
}

/// Settings and where they stand.
pub(super) struct Found {
    pub(super) settings: Arc<StreamSettings>,
    pub(super) span: Span,
}

/// The settings of a listener or cluster, under one of their two names. `None` where there are none, or none that
/// can be used.
pub(super) fn either(
    own: &Field<ExactStream>,
    v2ray: &Field<ExactStream>,
    side: Side,
    context: &mut Context<'_>,
) -> Option<Found> {
    if let (Some(_), Some((_, span))) = (own.value(), v2ray.spanned()) {
        let message = "`stream_settings` and `streamSettings` are two names of the same key";
        context.add(Fault::error(span, "both-given", message).help("remove one of them"));
    }
    let (raw, span) = own.spanned().or(v2ray.spanned())?;
    let settings = Arc::new(settings(&raw.0, side, context)?);
    Some(Found { settings, span })
}

/// Checks settings. What comes out is complete only where no error was reported.
pub(crate) fn settings(
    raw: &raw::StreamSettings,
    side: Side,
    context: &mut Context<'_>,
) -> Option<StreamSettings> {
    let encrypted = security(raw, context);
    let transport = transport(raw, context);
    let tls = match encrypted {
        Some(true) => tls::settings(raw, side, context),
        _ => None,
    };
    let socket = socket::settings(raw, side, context);
    let transport = transport?;
    warn_unused(raw, &transport, encrypted, context);
    if matches!(transport, TransportSettings::DomainSocket(_)) {
        let queue = socket.fast_open_queue;
        let plain = SocketSettings { fast_open_queue: queue, ..SocketSettings::default() };
        if socket != plain {
            let message = "`sockopt` has no effect on a unix socket";
            context.add(Fault::notice(raw.sockopt.span_or(raw.span), "no-effect", message));
        }
    }
    if side == Side::Cluster && matches!(transport, TransportSettings::Http(_)) && tls.is_none() {
        // Where TLS is wanted and faulty, that is reported already.
        if encrypted == Some(false) {
            let message = "HTTP/2 is spoken without TLS (h2c), which v2ray does not dial";
            context.add(Fault::notice(raw.network.span_or(raw.span), "h2c", message));
        }
    }
    let proxy_protocol = proxy_protocol::settings(raw, &transport, side, context);
    Some(StreamSettings { transport, tls, socket, proxy_protocol })
}

/// Whether there is TLS; `None` where that cannot be told.
fn security(raw: &raw::StreamSettings, context: &mut Context<'_>) -> Option<bool> {
    if matches!(raw.security, Field::Faulty) {
        return None;
    }
    let Some((security, span)) = raw.security.spanned() else { return Some(false) };
    match security.0.to_ascii_lowercase().as_str() {
        "" | "none" => Some(false),
        "tls" => Some(true),
        _ => {
            let message = format!("no security is named `{}`", security.0);
            let fault = Fault::error(span, "unknown-security", message);
            let near =
                crate::suggest::suggest(&security.0, StreamSecurity::CHOICES.iter().copied());
            context.add(fault.help(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "there are `none` and `tls`; v2ray would send plain text".to_owned(),
            }));
            None
        }
    }
}

/// What the transports are called, and the names that v2ray has for them as well.
const NAMES: [(&str, &[&str]); 6] = [
    ("tcp", &["tcp"]),
    ("ws", &["ws", "websocket"]),
    ("http", &["http", "h2"]),
    ("quic", &["quic"]),
    ("domainsocket", &["domainsocket", "ds"]),
    ("mkcp", &["mkcp", "kcp"]),
];

/// Transports of v2ray's and Xray's that are known and not supported.
const OTHERS: [&str; 10] = [
    "grpc",
    "gun",
    "httpupgrade",
    "hy2",
    "hysteria2",
    "meek",
    "splithttp",
    "xhttp",
    "dtls",
    "tlsmirror",
];

fn transport(raw: &raw::StreamSettings, context: &mut Context<'_>) -> Option<TransportSettings> {
    if matches!(raw.network, Field::Faulty) {
        return None;
    }
    let written = raw.network.value().map(|network| network.0.as_str()).unwrap_or_default();
    let plain = match written {
        "" => "tcp".to_owned(),
        written => written.to_ascii_lowercase(),
    };
    let Some((name, _)) = NAMES.iter().find(|(_, names)| names.contains(&plain.as_str())) else {
        unknown_network(written, &plain, raw.network.span_or(raw.span), context);
        return None;
    };
    Some(match *name {
        "tcp" => TransportSettings::Tcp(http_header::tcp(raw.tcp_settings.value(), context)),
        "ws" => TransportSettings::WebSocket(web::web_socket(raw.ws_settings.value(), context)),
        "http" => TransportSettings::Http(web::http(raw.http_settings.value(), context)),
        "quic" => TransportSettings::Quic(match &raw.quic_settings {
            Field::Absent => {
                QuicSettings { security: DatagramSecurity::Auto, ..QuicSettings::default() }
            }
            field => datagram::quic(field.value()?, context),
        }),
        "domainsocket" => TransportSettings::DomainSocket(domain_socket::settings(raw, context)?),
        _ => TransportSettings::Mkcp(datagram::mkcp(raw.kcp_settings.value(), context)),
    })
}

fn unknown_network(written: &str, plain: &str, span: Span, context: &mut Context<'_>) {
    let there_are = "there are `tcp`, `ws`, `http`, `quic`, `domainsocket` and `mkcp`";
    if OTHERS.contains(&plain) {
        let message = format!("the transport `{written}` is not supported");
        context.add(Fault::error(span, "unsupported-transport", message).help(there_are));
        return;
    }
    let fault =
        Fault::error(span, "unknown-transport", format!("no transport is named `{written}`"));
    let near = crate::suggest::suggest(written, StreamNetwork::CHOICES.iter().copied());
    context.add(match near {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help(there_are),
    });
}

/// Says so where settings are of another transport, or of TLS that there is none of.
fn warn_unused(
    raw: &raw::StreamSettings,
    transport: &TransportSettings,
    encrypted: Option<bool>,
    context: &mut Context<'_>,
) {
    let scheme = transport.scheme();
    let written: [(&str, &str, Option<Span>); 6] = [
        ("tcp", "tcpSettings", place(&raw.tcp_settings)),
        ("ws", "wsSettings", place(&raw.ws_settings)),
        ("http", "httpSettings", place(&raw.http_settings)),
        ("quic", "quicSettings", place(&raw.quic_settings)),
        ("domainsocket", "dsSettings", place(&raw.ds_settings)),
        ("mkcp", "kcpSettings", place(&raw.kcp_settings)),
    ];
    for (of, key, span) in written {
        if let Some(span) = span.filter(|_| of != scheme) {
            let message = format!("`{key}` has no effect: the network is `{scheme}`");
            context.add(Fault::warning(span, "no-effect", message));
        }
    }
    if let Some(span) = place(&raw.tls_settings).filter(|_| encrypted == Some(false)) {
        let message =
            "`tlsSettings` has no effect: `security` is not `tls`, so that plain text is sent";
        context.add(Fault::warning(span, "no-effect", message).help("add `\"security\": \"tls\"`"));
    }
}

/// Where a unix socket of the transport's own is: the address that is written does not count then.
pub(super) fn socket_address(settings: &StreamSettings) -> Option<Addr> {
    let TransportSettings::DomainSocket(socket) = &settings.transport else { return None };
    Some(socket_name(&socket.path.to_string_lossy(), socket.is_abstract))
}

/// Abstract names have an `@` in front, as in /proc/net/unix.
fn socket_name(path: &str, is_abstract: bool) -> Addr {
    Addr::Unix(if is_abstract { format!("@{path}") } else { path.to_owned() }.into())
}

/// Where a listener's connections come from, as far as its `stream_settings` say.
pub(super) struct Way {
    /// A unix socket, and where that is written.
    pub(super) socket: Option<(Addr, Span)>,
    /// Over UDP.
    pub(super) datagrams: bool,
}

/// What the settings of a listener say, without a look at what is wrong with them.
pub(super) fn way(listener: &raw::Listener) -> Way {
    let own = listener.stream_settings.value();
    let found = own.or(listener.stream_settings_v2ray.value()).map(|settings| &settings.0);
    let network = found.and_then(|settings| settings.network.value());
    let network = network.map(|network| network.0.to_ascii_lowercase());
    let socket = found.and_then(|settings| settings.ds_settings.value());
    let socket = socket.filter(|_| matches!(network.as_deref(), Some("ds" | "domainsocket")));
    Way {
        socket: socket.and_then(|settings| {
            let (path, span) = settings.path.filled()?;
            Some((socket_name(path, settings.is_abstract.or(false)), span))
        }),
        datagrams: matches!(network.as_deref(), Some("quic" | "mkcp" | "kcp")),
    }
}

fn place<T>(field: &Field<T>) -> Option<Span> {
    field.spanned().map(|(_, span)| span)
}

/// The number, if it lies in a range; else the default, and a report.
fn within(
    field: &Field<u32>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
    context: &mut Context<'_>,
) -> u32 {
    match field.spanned() {
        Some((number, _)) if range.contains(number) => *number,
        Some((_, span)) => {
            let message = format!("expected a number from {} to {}", range.start(), range.end());
            context.add(Fault::error(span, "out-of-range", message));
            default
        }
        None => default,
    }
}

/// The name of a network device, which the system limits to 15 bytes; empty where there is none.
pub(super) fn device(field: &Field<String>, context: &mut Context<'_>) -> String {
    let Some((name, span)) = field.filled() else { return String::new() };
    if name.len() > 15 || name.contains(['/', '\0']) || name.contains(char::is_whitespace) {
        let message = "this is no name of a network device: they have up to 15 bytes";
        context.add(Fault::error(span, "bad-device", message));
    }
    name.to_owned()
}

/// An IP address without a port, where one is written.
pub(super) fn ip(field: &Field<String>, context: &mut Context<'_>) -> Option<std::net::IpAddr> {
    let (text, span) = field.filled()?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        context.add(Fault::error(span, "bad-address", "expected an IP address without a port"));
    }
    parsed
}

/// A word from a list, without regard to case; reports another one.
fn choice(
    written: &str,
    span: Span,
    choices: &'static [&'static str],
    what: &str,
    context: &mut Context<'_>,
) -> Option<&'static str> {
    let found = choices.iter().find(|choice| choice.eq_ignore_ascii_case(written));
    if found.is_none() {
        let message = format!("no {what} is named `{written}`");
        let fault = Fault::error(span, "unknown-value", message);
        let near = crate::suggest::suggest(written, choices.iter().copied());
        context.add(match near {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(format!("there are `{}`", choices.join("`, `"))),
        });
    }
    found.copied()
}
