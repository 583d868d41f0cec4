//! The outbound that every connection takes.

use serde_json::{Map, Value as Json, json};

use crate::check::stream::Side;
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{
    Decode, Exact, Field, Free, StreamSettings, V2ray, V2rayFreedom, V2rayOutbound,
};
use crate::text::Span;

use super::{cannot, plain, said};

/// What the first outbound does with a connection.
pub(super) struct Outbound {
    /// `redirect`: the host that takes the place of the inbound's; empty where it stays.
    pub(super) host: String,
    /// `redirect`: the port that takes the place of the inbound's.
    pub(super) port: Option<u16>,
    /// `streamSettings`, with `sendThrough` in them.
    pub(super) stream: Option<Json>,
}

/// Without rules it is the first one that is taken. `None` where there is none that can be converted.
pub(super) fn first(raw: &V2ray, context: &mut Context<'_>) -> Option<Outbound> {
    for other in raw.outbounds.items().iter().skip(1) {
        let fault = cannot(other.span, "a second outbound");
        context.add(fault.help("without rules only the first is taken; remove this one"));
    }
    let Some(outbound) = raw.outbounds.items().first() else {
        if !matches!(raw.outbounds, Field::Faulty) {
            let message = "there are no `outbounds`, so that connections go nowhere";
            context.add(Fault::error(raw.span, "missing-key", message));
        }
        return None;
    };
    convert(outbound, context)
}

fn convert(raw: &V2rayOutbound, context: &mut Context<'_>) -> Option<Outbound> {
    if let Some((_, span)) =
        raw.mux.value().and_then(|mux| mux.enabled.spanned().filter(|on| *on.0))
    {
        context.add(cannot(span, "`mux`"));
    }
    if let Some((_, span)) = said(&raw.proxy_settings) {
        context.add(cannot(span, "`proxySettings`"));
    }
    let stream = stream(&raw.stream_settings, Side::Cluster, context);
    let stream = send_through(raw, stream, context);
    let protocol = raw.protocol.text();
    if !protocol.eq_ignore_ascii_case("freedom") {
        let fault =
            cannot(raw.protocol.span_or(raw.span), &format!("the outbound protocol `{protocol}`"));
        context.add(fault.help("only `freedom` can be"));
        return None;
    }
    let settings = raw.settings.value().and_then(|Free(node)| V2rayFreedom::decode(node, context));
    let (host, port) = match settings.as_ref().and_then(|settings| settings.redirect.filled()) {
        Some((text, span)) => redirect(text, span, context)?,
        None => (String::new(), None),
    };
    Some(Outbound { host, port, stream })
}

/// `host:port`, of which either may be left out.
fn redirect(text: &str, span: Span, context: &mut Context<'_>) -> Option<(String, Option<u16>)> {
    let parsed = text.rsplit_once(':').and_then(|(host, port)| {
        let port = match port {
            "" | "0" => None,
            port => Some(port.parse::<u16>().ok()?),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some((host.to_owned(), port))
    });
    if parsed.is_none() {
        context.add(cannot(span, "this address").help("expected `host:port`"));
    }
    parsed
}

/// Checks settings at the place where they stand, and takes them over as they are.
pub(super) fn stream(field: &Field<Free>, side: Side, context: &mut Context<'_>) -> Option<Json> {
    let Free(node) = field.value()?;
    let raw = Exact::<StreamSettings>::decode(node, context)?;
    crate::check::stream::settings(&raw.0, side, context)?;
    Some(plain(node))
}

/// The source address goes into `sockopt`.
fn send_through(
    raw: &V2rayOutbound,
    stream: Option<Json>,
    context: &mut Context<'_>,
) -> Option<Json> {
    let Some((text, span)) = raw.send_through.filled() else { return stream };
    let Ok(ip) = text.parse::<std::net::IpAddr>() else {
        context.add(cannot(span, "this source").help("expected an IP address"));
        return stream;
    };
    if ip.is_unspecified() {
        return stream;
    }
    let mut stream = match stream {
        Some(Json::Object(stream)) => stream,
        _ => Map::new(),
    };
    let key = stream.keys().find(|key| key.eq_ignore_ascii_case("sockopt")).cloned();
    let options = stream.entry(key.unwrap_or_else(|| "sockopt".to_owned())).or_insert(json!({}));
    if !options.is_object() {
        *options = json!({});
    }
    options["bindAddress"] = text.into();
    Some(Json::Object(stream))
}
