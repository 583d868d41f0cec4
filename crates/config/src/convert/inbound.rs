//! An inbound as a listener and the cluster that its connections go to.

use std::net::IpAddr;

use serde_json::{Map, Value as Json, json};

use rosn_base::Addr;

use crate::check::stream::Side;
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{Decode, Field, Free, V2rayDokodemo, V2rayInbound};
use crate::text::{Span, Value};

use super::outbound::{Outbound, stream};
use super::{cannot, port, said};

/// v2ray's `connIdle`.
const IDLE: &str = "300s";

/// The listener and its cluster. `None` where something cannot be converted, which is reported.
pub(super) fn convert(
    raw: &V2rayInbound,
    index: usize,
    outbound: Option<&Outbound>,
    context: &mut Context<'_>,
) -> Option<(Json, Json)> {
    check_allocate(raw, context);
    let stream = stream(&raw.stream_settings, Side::Listener, context);
    let listens = listens(raw, stream.as_ref(), context);
    let protocol = raw.protocol.text();
    if !protocol.eq_ignore_ascii_case("dokodemo-door") {
        let what = format!("the inbound protocol `{protocol}`");
        let fault = cannot(raw.protocol.span_or(raw.span), &what);
        context.add(fault.help("only `dokodemo-door` can be"));
        return None;
    }
    let settings = match &raw.settings {
        Field::Given(Free(node), _) => V2rayDokodemo::decode(node, context)?,
        _ => V2rayDokodemo { span: raw.span, ..V2rayDokodemo::default() },
    };
    let target = target(&settings, outbound?, context);
    let name = match raw.tag.filled() {
        Some((tag, _)) => tag.to_owned(),
        None => format!("inbound-{index}"),
    };
    let mut listener = Map::new();
    listener.insert("name".to_owned(), name.as_str().into());
    if let Listens::On(address) = listens? {
        listener.insert("address".to_owned(), address.into());
    }
    listener.insert("bind_port".to_owned(), true.into());
    listener.insert("connection_idle_timeout".to_owned(), IDLE.into());
    if let Some(stream) = stream {
        listener.insert("stream_settings".to_owned(), stream);
    }
    let filter = json!({ "type": "tcp_proxy", "config": { "cluster": name } });
    listener.insert("filter_chains".to_owned(), json!([{ "filters": [filter] }]));
    let mut cluster = Map::new();
    cluster.insert("name".to_owned(), name.into());
    cluster.insert("hosts".to_owned(), json!([{ "address": target? }]));
    if let Some(stream) = outbound.and_then(|outbound| outbound.stream.clone()) {
        cluster.insert("stream_settings".to_owned(), stream);
    }
    Some((Json::Object(listener), Json::Object(cluster)))
}

/// Where a listener gets its connections.
enum Listens {
    /// On an address.
    On(String),
    /// Where its transport says.
    ByTransport,
}

fn listens(
    raw: &V2rayInbound,
    stream: Option<&Json>,
    context: &mut Context<'_>,
) -> Option<Listens> {
    let network = stream.and_then(Json::as_object).and_then(|stream| {
        let (_, network) = stream.iter().find(|(key, _)| key.eq_ignore_ascii_case("network"))?;
        network.as_str().map(str::to_ascii_lowercase)
    });
    // Its address and port do not count.
    if matches!(network.as_deref(), Some("ds" | "domainsocket")) {
        return Some(Listens::ByTransport);
    }
    let (text, span) = raw.listen.filled().unwrap_or(("0.0.0.0", raw.span));
    if text.starts_with(['/', '@']) {
        return unix(text, span, context);
    }
    if raw.port.is_absent() {
        context.add(Fault::error(raw.span, "missing-key", "`port` is missing"));
    }
    let port = port(&raw.port, context);
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if text.eq_ignore_ascii_case("localhost") {
        return Some(Listens::On(format!("localhost:{}", port?)));
    }
    let Ok(ip) = bare.parse::<IpAddr>() else {
        let fault = cannot(span, "a name to listen on");
        context.add(fault.help("use an IP address, as v2ray demands too"));
        return None;
    };
    Some(Listens::On(join(&ip.to_string(), port?)))
}

/// `/path`; v2ray also knows abstract names and permissions here.
fn unix(text: &str, span: Span, context: &mut Context<'_>) -> Option<Listens> {
    if text.starts_with('/') && !text.contains(',') {
        return Some(Listens::On(format!("unix:{text}")));
    }
    let fault = cannot(span, "this unix socket");
    context.add(fault.help(
        "use `\"network\": \"domainsocket\"`: its `dsSettings` have `abstract`, and with rosn `mode`",
    ));
    None
}

fn check_allocate(raw: &V2rayInbound, context: &mut Context<'_>) {
    let Some((allocate, span)) = said(&raw.allocate) else { return };
    let strategy = allocate.member("strategy").and_then(|member| member.value.as_str());
    if strategy.is_some_and(|strategy| strategy != "always") {
        context.add(cannot(span, "`allocate`"));
    }
}

/// `host:port` of the cluster.
fn target(raw: &V2rayDokodemo, outbound: &Outbound, context: &mut Context<'_>) -> Option<String> {
    if let Some((_, span)) = raw.follow_redirect.spanned().filter(|(follow, _)| **follow) {
        let fault = cannot(span, "`followRedirect`");
        context.add(fault.help("write a cluster of the type `ORIGINAL_DST` instead"));
        return None;
    }
    check_network(raw, context);
    let own_port = port(&raw.port, context);
    let host = if outbound.host.is_empty() { raw.address.text() } else { &outbound.host };
    let port = outbound.port.or(own_port);
    if host.is_empty() && !matches!(raw.address, Field::Faulty) {
        let fault = cannot(raw.span, "a `dokodemo-door` without `address`");
        context.add(fault.help("without it, it goes where the client meant to: write a cluster of the type `ORIGINAL_DST`"));
        return None;
    }
    if port.is_none() && raw.port.is_absent() {
        context.add(cannot(raw.span, "a `dokodemo-door` without `port`"));
    }
    let target = join(host, port?);
    if let Err(error) = Addr::parse(&target, false) {
        let span = if outbound.host.is_empty() { raw.address.span_or(raw.span) } else { raw.span };
        context.add(Fault::error(span, "bad-address", error.to_string()));
        return None;
    }
    Some(target)
}

/// `tcp` alone: as a text, with commas, or in a list.
fn check_network(raw: &V2rayDokodemo, context: &mut Context<'_>) {
    let Some((Free(node), span)) = raw.network.spanned() else { return };
    let networks: Vec<&str> = match &node.value {
        Value::String(text) => text.split(',').map(str::trim).collect(),
        Value::Array(items) => items.iter().filter_map(|item| item.as_str()).collect(),
        _ => Vec::new(),
    };
    let tcp = |network: &&str| network.eq_ignore_ascii_case("tcp") || network.is_empty();
    if networks.is_empty() || !networks.iter().all(tcp) {
        let fault = cannot(span, "a network other than `tcp`");
        context.add(fault.help("UDP needs a listener with `udp_proxy`"));
    }
}

/// With brackets around an IPv6 address.
fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
