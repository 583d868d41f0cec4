//! Addresses that the process listens on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rosn_base::Addr;

use crate::checked::Network;
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{Field, Listener, Mosn, Server};
use crate::text::Span;

use super::missing;
use super::stream::{self, Found};

/// The address of a listener; a name is resolved.
pub(super) fn listener(
    raw: &Listener,
    network: Network,
    stream: Option<&Found>,
    context: &mut Context<'_>,
) -> Option<Addr> {
    let settings = stream.map(|found| &*found.settings);
    if let Some(path) = settings.and_then(stream::socket_address) {
        if let Some((text, span)) = raw.address.filled()
            && Addr::parse(text, true).as_ref() != Ok(&path)
        {
            let message = format!("`address` has no effect: the transport listens on {path}");
            context.add(Fault::notice(span, "no-effect", message));
        }
        return Some(path);
    }
    let Some((text, span)) = raw.address.filled() else {
        if !matches!(raw.address, Field::Faulty) {
            missing(raw.span, "address", context);
        }
        return None;
    };
    match Addr::parse(text, network == Network::Unix) {
        Ok(Addr::Name(host, _)) if stream.is_some() && !host.eq_ignore_ascii_case("localhost") => {
            let message =
                format!("a listener with `stream_settings` has no name as address: {host}");
            let fault = Fault::error(span, "bad-address", message);
            context.add(fault.help("use an IP address to listen on"));
            None
        }
        Ok(Addr::Name(host, port)) => resolve(&host, port, span, context).map(Addr::Ip),
        Ok(address) => Some(address),
        Err(error) => {
            context.add(Fault::error(span, "bad-address", error.to_string()));
            None
        }
    }
}

/// Whether a text is the name of this machine, and a port.
pub(super) fn is_localhost(text: &str) -> bool {
    matches!(Addr::parse(text, false), Ok(Addr::Name(host, _)) if host.eq_ignore_ascii_case("localhost"))
}

/// Asks for the address of a name, once.
pub(super) fn resolve(
    host: &str,
    port: u16,
    span: Span,
    context: &mut Context<'_>,
) -> Option<SocketAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    match (context.options.resolve)(host, port) {
        Ok(address) => Some(address),
        Err(error) => {
            let message = format!("`{host}` cannot be resolved: {error}");
            context.add(
                Fault::error(span, "bad-address", message).help("use an IP address to listen on"),
            );
            None
        }
    }
}

/// Something that listens.
struct Claim {
    what: String,
    address: Addr,
    datagrams: bool,
    bound: bool,
    span: Span,
}

/// Reports addresses that are claimed twice.
pub(super) fn check(server: Option<&Server>, mosn: &Mosn, context: &mut Context<'_>) {
    let claims = claims(server, mosn);
    let mut seen: std::collections::HashMap<(bool, Option<u16>), Vec<&Claim>> = Default::default();
    for claim in &claims {
        let earlier = seen.entry((claim.datagrams, claim.address.port())).or_default();
        if let Some(other) = earlier.iter().find(|other| other.address == claim.address) {
            // Port 0 is another one each time.
            if claim.address.port() == Some(0) {
                continue;
            }
            let message = format!("{} has the address of {}", claim.what, other.what);
            let place = context.sources.place(other.span);
            let fault = Fault::error(claim.span, "duplicate-address", message);
            context.add(fault.help(format!("{} is given at {place}", other.address)));
        } else if let Some(other) = earlier.iter().find(|other| overlap(claim, other)) {
            let message = format!(
                "{} and {} listen on the same port of the same machine",
                claim.what, other.what
            );
            let place = context.sources.place(other.span);
            let fault = Fault::warning(claim.span, "overlapping-address", message);
            context.add(fault.help(format!(
                "{} is given at {place}; the one without a wildcard gets its own address",
                other.address
            )));
        }
        earlier.push(claim);
    }
}

/// Whether one is a wildcard that includes the other. Virtual listeners take no port.
fn overlap(one: &Claim, other: &Claim) -> bool {
    let (Addr::Ip(a), Addr::Ip(b)) = (&one.address, &other.address) else { return false };
    let wildcard = a.ip().is_unspecified() || b.ip().is_unspecified();
    // `[::]` takes IPv4 as well, `0.0.0.0` does not take IPv6.
    let families = a.is_ipv4() == b.is_ipv4()
        || (a.is_ipv6() && a.ip().is_unspecified())
        || (b.is_ipv6() && b.ip().is_unspecified());
    one.bound && other.bound && wildcard && families && a.port() != 0
}

fn claims(server: Option<&Server>, mosn: &Mosn) -> Vec<Claim> {
    let mut all = Vec::new();
    for raw in server.map(|server| server.listeners.items()).unwrap_or_default() {
        let network = raw.network.value().map(|network| network.0.to_ascii_lowercase());
        let way = stream::way(raw);
        let written = raw.address.filled().and_then(|(text, span)| {
            Some((Addr::parse(text, network.as_deref() == Some("unix")).ok()?, span))
        });
        let Some((address, span)) = way.socket.or(written) else { continue };
        let name = raw.name.filled().or(raw.address.filled()).map(|(name, _)| name);
        all.push(Claim {
            what: match name {
                Some(name) => format!("the listener `{name}`"),
                None => format!("the listener on {address}"),
            },
            address,
            datagrams: network.as_deref() == Some("udp") || way.datagrams,
            bound: raw.bind_port.or(false),
            span,
        });
    }
    let admin = mosn.admin.value().and_then(|admin| admin.address.value());
    if let Some(socket) = admin.and_then(|address| address.socket_address.value())
        && let Some((port, span)) = socket.port_value.spanned()
        && let Ok(ip) = socket.address.filled().map_or("0.0.0.0", |(ip, _)| ip).parse::<IpAddr>()
    {
        let address = Addr::Ip(SocketAddr::new(ip, port.0));
        all.push(Claim {
            what: "the admin server".to_owned(),
            address,
            datagrams: false,
            bound: true,
            span,
        });
    }
    for sink in mosn.metrics.value().map(|metrics| metrics.sinks.items()).unwrap_or_default() {
        if let Some((port, span)) = sink.config.value().and_then(|config| config.port.spanned()) {
            let address = Addr::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port.0));
            let what = "the prometheus sink".to_owned();
            all.push(Claim { what, address, datagrams: false, bound: true, span });
        }
    }
    all
}
