//! The network filters `tcp_proxy` and `udp_proxy`.

use std::net::IpAddr;

use crate::checked::{CidrRange, StreamProxy, StreamRoute};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Cidr, Decode, Field, NetworkFilter, Ports, Spanned};
use crate::text::Span;

use super::{Names, missing};

pub(super) fn proxy(
    filter: &NetworkFilter,
    names: &Names,
    context: &mut Context<'_>,
) -> Option<StreamProxy> {
    let Some((config, _)) = filter.config.spanned() else {
        if filter.config.is_absent() {
            missing(filter.span, "config", context);
        }
        return None;
    };
    let raw = raw::StreamProxy::decode(&config.0, context)?;
    Some(StreamProxy {
        stat_prefix: raw.stat_prefix.text().to_owned(),
        routes: routes(&raw, names, context)?,
        idle_timeout: raw.idle_timeout.value().map(|timeout| timeout.0),
        max_connect_attempts: match raw.max_connect_attempts.or(0) {
            0 => 3,
            attempts => attempts,
        },
    })
}

/// The same for `udp_proxy`, whose datagrams go out as they are: to a cluster behind TLS or a transport they would go in
/// the clear, and nobody there would understand them.
pub(super) fn datagrams(
    filter: &NetworkFilter,
    names: &Names,
    context: &mut Context<'_>,
) -> Option<StreamProxy> {
    let proxy = proxy(filter, names, context)?;
    if proxy.reads_hello() {
        let message = "datagrams have no ClientHello to read names from";
        context.add(Fault::error(filter.span, "wrong-network", message));
    }
    for route in &proxy.routes {
        if names.is_plain(&route.cluster) {
            continue;
        }
        let message = format!(
            "`udp_proxy` sends plain datagrams, and the cluster `{}` is reached by a transport or TLS",
            route.cluster
        );
        let fault = Fault::error(filter.span, "stream-settings-of-datagrams", message);
        context.add(fault.help("give it a cluster without `stream_settings`, but for `sockopt`"));
    }
    Some(proxy)
}

fn routes(
    raw: &raw::StreamProxy,
    names: &Names,
    context: &mut Context<'_>,
) -> Option<Vec<StreamRoute>> {
    let listed: Vec<_> = raw.routes.items().iter().map(|r| route(r, names, context)).collect();
    if let Some((name, span)) = raw.cluster.filled() {
        return names.cluster(name, span, context).map(|cluster| {
            vec![StreamRoute {
                cluster,
                sources: Vec::new(),
                destinations: Vec::new(),
                source_ports: Vec::new(),
                destination_ports: Vec::new(),
                server_names: Vec::new(),
                alpn: Vec::new(),
            }]
        });
    }
    if listed.is_empty()
        && !matches!(raw.routes, Field::Faulty)
        && !matches!(raw.cluster, Field::Faulty)
    {
        let fault = Fault::error(raw.span, "missing-key", "this proxy names no cluster");
        context.add(fault.help("give it `cluster`"));
        return None;
    }
    listed.into_iter().collect()
}

fn route(raw: &raw::StreamRoute, names: &Names, context: &mut Context<'_>) -> Option<StreamRoute> {
    let sources = raw.source_addrs.items().iter().chain(raw.source_addrs_go.items());
    let destinations = raw.destination_addrs.items().iter().chain(raw.destination_addrs_go.items());
    let sources: Vec<_> = sources.map(|cidr| range(cidr, context)).collect();
    let destinations: Vec<_> = destinations.map(|cidr| range(cidr, context)).collect();
    let source_ports = ports(&raw.source_port, context);
    let destination_ports = ports(&raw.destination_port, context);
    let server_names =
        raw.server_names.items().iter().map(|name| server_name(name, context)).collect();
    let Some((name, span)) = raw.cluster.filled() else {
        if !matches!(raw.cluster, Field::Faulty) {
            missing(raw.span, "cluster", context);
        }
        return None;
    };
    Some(StreamRoute {
        cluster: names.cluster(name, span, context)?,
        sources: sources.into_iter().collect::<Option<_>>()?,
        destinations: destinations.into_iter().collect::<Option<_>>()?,
        source_ports: source_ports?,
        destination_ports: destination_ports?,
        server_names,
        alpn: raw.alpn.items().iter().map(|name| name.value.clone()).collect(),
    })
}

/// A name that clients ask for, in lower case: `a.example`, or `*.example`.
fn server_name(name: &Spanned<String>, context: &mut Context<'_>) -> String {
    let lower = name.value.to_ascii_lowercase();
    let host = lower.strip_prefix("*.").unwrap_or(&lower);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if host.is_empty() || host.len() > 253 || !host.chars().all(fits) {
        let fault = Fault::error(name.span, "bad-host", "this is not a host name");
        context.add(fault.help("write it as `a.example`, or as `*.example`"));
    }
    lower
}

fn range(cidr: &Cidr, context: &mut Context<'_>) -> Option<CidrRange> {
    let parsed = parse_range(&cidr.text);
    if parsed.is_none() {
        let fault = Fault::error(cidr.span, "bad-range", "this is not a range of addresses");
        context.add(fault.help("write it as `10.0.0.0/8`, or a single IP address"));
    }
    parsed
}

/// `10.0.0.0/8`, or a single address.
pub(super) fn parse_range(text: &str) -> Option<CidrRange> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(bits);
    (prefix <= bits).then_some(CidrRange { address, prefix })
}

fn ports(field: &Field<Ports>, context: &mut Context<'_>) -> Option<Vec<(u16, u16)>> {
    let Some((Ports(text), span)) = field.spanned() else {
        return field.is_absent().then(Vec::new);
    };
    let all = port_ranges(text);
    if all.is_none() {
        report_ports(span, context);
    }
    all
}

/// `80`, `80-90` or `80,443`.
pub(super) fn port_ranges(text: &str) -> Option<Vec<(u16, u16)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(parse_ports).collect()
}

fn parse_ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let ports = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (ports.0 <= ports.1).then_some(ports)
}

pub(super) fn report_ports(span: Span, context: &mut Context<'_>) {
    let fault = Fault::error(span, "bad-ports", "these are not ports");
    context.add(fault.help("write them as `80`, `80-90` or `80,443`"));
}
