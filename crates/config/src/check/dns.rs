//! How the names of a cluster's hosts are resolved.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::checked::{Dns, DnsFamily};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, DnsLookupFamily, DnsResolvers};

pub(super) fn dns(raw: &raw::Cluster, context: &mut Context<'_>) -> Dns {
    let resolvers = raw.dns_resolvers.value();
    let mut refresh = raw.dns_refresh_rate.or(Duration::from_secs(5));
    if refresh < Duration::from_millis(100) {
        let message = "names are resolved at most ten times a second; 100ms is taken";
        let span = raw.dns_refresh_rate.span_or(raw.span);
        context.add(Fault::warning(span, "out-of-range", message));
        refresh = Duration::from_millis(100);
    }
    let port = raw.dns_resolver_port.or(raw::Port(53)).0;
    let file = raw.dns_resolver_file.filled().map_or("/etc/resolv.conf", |(file, _)| file);
    Dns {
        refresh,
        respect_ttl: raw.respect_dns_ttl.or(false),
        family: family(raw, context),
        servers: resolvers.map(|resolvers| servers(resolvers, port, context)).unwrap_or_default(),
        search: resolvers
            .map(|resolvers| {
                resolvers.search.items().iter().map(|text| text.value.clone()).collect()
            })
            .unwrap_or_default(),
        ndots: resolvers.and_then(|resolvers| resolvers.ndots.value().copied()),
        timeout: resolvers
            .and_then(|resolvers| resolvers.timeout.value())
            .map(|timeout| timeout.0)
            .filter(|timeout| !timeout.is_zero()),
        attempts: resolvers
            .and_then(|resolvers| resolvers.attempts.value().copied())
            .filter(|n| *n > 0),
        resolver_file: file.into(),
    }
}

fn servers(raw: &DnsResolvers, port: u16, context: &mut Context<'_>) -> Vec<SocketAddr> {
    let port = raw.port.or(raw::Port(port)).0;
    let mut servers = Vec::new();
    for server in raw.servers.items() {
        let bare = server.value.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port));
        match bare.or_else(|_| server.value.parse::<SocketAddr>()) {
            Ok(address) => servers.push(address),
            Err(_) => {
                let message = "a name server is given by its IP address";
                context.add(Fault::error(server.span, "bad-address", message));
            }
        }
    }
    servers
}

fn family(raw: &raw::Cluster, context: &mut Context<'_>) -> DnsFamily {
    let Some((family, span)) = raw.dns_lookup_family.spanned() else { return DnsFamily::V4 };
    match family.0.as_str() {
        "" | "V4_ONLY" => DnsFamily::V4,
        "V6_ONLY" => DnsFamily::V6,
        "AUTO" | "ALL" => DnsFamily::Both,
        other => {
            let message = format!("no family of addresses is named `{other}`; `V4_ONLY` is taken");
            let fault = Fault::warning(span, "unknown-dns-family", message);
            context.add(fault.suggest(other, DnsLookupFamily::CHOICES.iter().copied()));
            DnsFamily::V4
        }
    }
}
