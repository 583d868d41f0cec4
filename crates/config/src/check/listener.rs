//! Listeners.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rosn_base::Addr;

use crate::Defaults;
use crate::checked::{
    IdleTimeout, Listener, ListenerTls, Network, OriginalDst, OriginalDstKind, Protocol, Service,
    StreamProxy, StreamSettings, Tproxy, TransportSettings,
};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{
    self as raw, Field, ListenerFilterType, NetworkFilterType, OriginalDstType, Server,
};
use crate::text::Span;

use super::router;
use super::stream::{self, Found, Side};
use super::{
    Names, access_log, address, missing, not_yet, proxy, stream_filters, stream_proxy, tls,
};

/// The listener filter that reads what clients say in TLS.
const TLS_INSPECTOR: &str = "tls_inspector";

/// What a listener may refer to.
pub(super) struct Scope<'s> {
    pub(super) routers: &'s BTreeMap<Arc<str>, router::Found>,
    pub(super) names: &'s Names,
}

/// All listeners, in order.
pub(super) fn listeners(
    server: Option<&Server>,
    routers: &BTreeMap<Arc<str>, router::Found>,
    names: &Names,
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> Vec<Listener> {
    let scope = Scope { routers, names };
    let logs = defaults.base.join("logs");
    let mut taken: HashMap<Arc<str>, Span> = HashMap::new();
    let mut all = Vec::new();
    let raws = server.map(|server| server.listeners.items()).unwrap_or_default();
    for raw in raws {
        let Some(listener) = listener(raw, &scope, &logs, context) else { continue };
        let span = raw.name.filled().map_or(raw.address.span_or(raw.span), |(_, span)| span);
        if let Some(first) = taken.insert(listener.name.clone(), span) {
            let message = format!("a second listener is named `{}`", listener.name);
            let first = context.sources.place(first);
            let fault = Fault::error(span, "duplicate-listener", message);
            context.add(fault.help(format!("first given at {first}")));
        }
        all.push(listener);
    }
    warn_unreachable(raws, &all, context);
    all
}

fn listener(
    raw: &raw::Listener,
    scope: &Scope<'_>,
    logs: &Path,
    context: &mut Context<'_>,
) -> Option<Listener> {
    let network = network(raw, context);
    let found =
        stream::either(&raw.stream_settings, &raw.stream_settings_v2ray, Side::Listener, context);
    let address = address::listener(raw, network, found.as_ref(), context);
    if let Some(found) = &found {
        check_stream(raw, found, network, address.as_ref(), context);
    }
    let mut stream = found.map(|found| found.settings);
    let network = match &address {
        Some(Addr::Unix(_)) => Network::Unix,
        _ => network,
    };
    let written = raw.name.filled().or(raw.address.filled()).map(|(name, _)| name.to_owned());
    // Only a unix socket of `stream_settings` needs neither.
    let written = written.or(address.as_ref().map(Addr::to_string)).unwrap_or_default();
    let mut service = service(raw, network, scope, context);
    // A filter that protects, and cannot be run, must not be left out in silence.
    if let Some(reason) = stream_filters::check(raw.stream_filters.items(), context) {
        inactive(&mut service, reason, raw, context);
    }
    if let Some(Service::Http(proxy)) = &mut service {
        proxy.grpc_metric = stream_filters::has_grpc_metric(raw.stream_filters.items());
    }
    let tls = tls(raw, &mut service, context);
    if let Some((_, span)) = raw.filter_chains.items().first().and_then(|c| c.tls_context.spanned())
        && tls.is_some()
        && stream.as_ref().is_some_and(|stream| stream.tls.is_some())
    {
        let message = "`tls_context` would be a second TLS inside that of `stream_settings`";
        context.add(Fault::error(span, "both-given", message).help("remove one of them"));
    }
    if let (Some(stream), Some(Service::Http(proxy))) = (&mut stream, &service) {
        agree_on(&proxy.protocols, Arc::make_mut(stream));
    }
    let name: Arc<str> = written.as_str().into();
    Some(Listener {
        access_logs: access_log::access_logs(raw, &log_file(logs, &name), context),
        address: address?,
        localhost: raw.address.filled().is_some_and(|(text, _)| address::is_localhost(text)),
        name,
        network,
        bind: raw.bind_port.or(false),
        reuse_port: raw.reuseport.or(false),
        original_dst: original_dst(raw, context).or(stream.as_deref().and_then(meant_address)),
        direction: raw.r#type.text().to_owned(),
        idle_timeout: match raw.connection_idle_timeout.value() {
            None => IdleTimeout::Default,
            Some(timeout) if timeout.is_zero() => IdleTimeout::Never,
            Some(timeout) => IdleTimeout::After(*timeout),
        },
        max_connections: NonZeroU32::new(raw.max_connections.or(0)),
        stream,
        inspector: tls.is_some() && raw.inspector.or(false),
        reads_hello: tls.is_none() && reads_hello(raw, service.as_ref()),
        tls,
        service: service?,
    })
}

/// What `stream_settings` do not go together with.
fn check_stream(
    raw: &raw::Listener,
    found: &Found,
    network: Network,
    address: Option<&Addr>,
    context: &mut Context<'_>,
) {
    let settings = &found.settings;
    if network == Network::Udp {
        let message = "`stream_settings` are for connections, not for UDP datagrams";
        let fault = Fault::error(raw.network.span_or(found.span), "wrong-network", message);
        context.add(
            fault.help("leave `network` out: QUIC and mKCP find their way to UDP by themselves"),
        );
    }
    if settings.transport.is_datagram() && matches!(address, Some(Addr::Unix(_))) {
        let message = format!("`{}` needs an IP address", settings.transport.scheme());
        context.add(Fault::error(raw.address.span_or(found.span), "bad-address", message));
    }
    if !raw.bind_port.or(false) && !settings.is_plain() && !matches!(raw.bind_port, Field::Faulty) {
        let message =
            "a virtual listener has no transport: its connections are those of another one";
        let fault = Fault::error(found.span, "virtual-listener", message);
        context.add(fault.help("add `\"bind_port\": true`, or move the settings to the other one"));
    }
}

/// The proxy understands only its protocols, whatever v2ray's default offers. Other transports than bytes in TLS agree on
/// what they are themselves.
fn agree_on(protocols: &[Protocol], stream: &mut StreamSettings) {
    let is_itself = matches!(
        stream.transport,
        TransportSettings::Tcp(_) | TransportSettings::DomainSocket(_) | TransportSettings::Mkcp(_)
    );
    if let (true, Some(tls)) = (is_itself, &mut stream.tls)
        && tls.alpn.is_empty()
    {
        tls.alpn = Protocol::alpn(protocols).into_iter().map(str::to_owned).collect();
    }
}

/// TLS of the one filter chain; turns the listener off where it needs what is not there yet.
fn tls(
    raw: &raw::Listener,
    service: &mut Option<Service>,
    context: &mut Context<'_>,
) -> Option<ListenerTls> {
    let [chain] = raw.filter_chains.items() else { return None };
    let found = match tls::listener(chain, context) {
        Ok(found) => found?,
        Err(reason) => {
            inactive(service, reason.to_owned(), raw, context);
            return None;
        }
    };
    if let Some(Service::Udp(_)) = service {
        let message = "`udp_proxy` sends plain datagrams: there is no TLS for them";
        context.add(Fault::error(chain.span, "tls-datagrams", message));
    }
    Some(found)
}

/// Whether something wants to know what clients say in TLS.
fn reads_hello(raw: &raw::Listener, service: Option<&Service>) -> bool {
    let filters = raw.listener_filters.items();
    let proxy = match service {
        Some(Service::Tcp(proxy)) => Some(proxy),
        Some(Service::Http(proxy)) => proxy.fallback.as_ref(),
        _ => None,
    };
    proxy.is_some_and(StreamProxy::reads_hello)
        || filters.iter().any(|filter| filter.r#type.value().is_some_and(|t| t.0 == TLS_INSPECTOR))
}

/// `sockopt.tproxy`.
fn meant_address(settings: &StreamSettings) -> Option<OriginalDst> {
    let kind = match settings.socket.tproxy {
        Tproxy::Off => return None,
        Tproxy::Redirect => OriginalDstKind::Redirect,
        Tproxy::Tproxy => OriginalDstKind::Tproxy,
    };
    Some(OriginalDst { kind, fallback_to_local: false })
}

/// `<logs>/<listener>_access.log`; the name must not lead out of the directory.
fn log_file(logs: &Path, name: &str) -> PathBuf {
    logs.join(format!("{}_access.log", name.replace(['/', '\0'], "_")))
}

fn network(raw: &raw::Listener, context: &mut Context<'_>) -> Network {
    let Some((network, span)) = raw.network.spanned() else { return Network::Tcp };
    match network.0.to_ascii_lowercase().as_str() {
        "" | "tcp" => Network::Tcp,
        "udp" => Network::Udp,
        "unix" => Network::Unix,
        _ => {
            let message = format!("no kind of socket is named `{}`", network.0);
            let fault = Fault::error(span, "unknown-network", message);
            context.add(fault.suggest(&network.0, raw::Network::CHOICES.iter().copied()));
            Network::Tcp
        }
    }
}

fn original_dst(raw: &raw::Listener, context: &mut Context<'_>) -> Option<OriginalDst> {
    let mut found = raw
        .use_original_dst
        .filled_kind(context)
        .map(|kind| OriginalDst { kind, fallback_to_local: false });
    for filter in raw.listener_filters.items() {
        let Some((kind, span)) = filter.r#type.spanned() else {
            if filter.r#type.is_absent() {
                missing(filter.span, "type", context);
            }
            continue;
        };
        if kind.0 == TLS_INSPECTOR {
            continue;
        }
        if kind.0 != "original_dst" {
            let message = format!("no listener filter is named `{}`; it is skipped", kind.0);
            let fault = Fault::warning(span, "unknown-listener-filter", message);
            context.add(fault.suggest(&kind.0, ListenerFilterType::CHOICES.iter().copied()));
            continue;
        }
        let config = filter.config.value();
        found = Some(OriginalDst {
            kind: config
                .and_then(|c| c.r#type.filled_kind(context))
                .unwrap_or(OriginalDstKind::Redirect),
            fallback_to_local: config.is_some_and(|config| config.fallback_to_local.or(false)),
        });
    }
    found
}

impl Field<OriginalDstType> {
    /// The kind that is written, if one is; reports one that is unknown.
    fn filled_kind(&self, context: &mut Context<'_>) -> Option<OriginalDstKind> {
        let (kind, span) = self.spanned()?;
        match kind.0.as_str() {
            "" => None,
            "redirect" => Some(OriginalDstKind::Redirect),
            "tproxy" => Some(OriginalDstKind::Tproxy),
            other => {
                let message = format!("the original address is not found by `{other}`");
                let fault = Fault::error(span, "unknown-original-dst", message);
                context.add(fault.suggest(other, OriginalDstType::CHOICES.iter().copied()));
                None
            }
        }
    }
}

/// What the one filter chain does.
fn service(
    raw: &raw::Listener,
    network: Network,
    scope: &Scope<'_>,
    context: &mut Context<'_>,
) -> Option<Service> {
    let chains = raw.filter_chains.items();
    let [chain] = chains else {
        if !matches!(raw.filter_chains, Field::Faulty) {
            let message =
                format!("a listener has exactly one filter chain; this one has {}", chains.len());
            let span =
                chains.get(1).map_or(raw.filter_chains.span_or(raw.span), |second| second.span);
            context.add(Fault::error(span, "filter-chains", message));
        }
        return None;
    };
    filters(chain, network, scope, context)
}

/// Turns a listener off, and says so.
fn inactive(
    service: &mut Option<Service>,
    reason: String,
    raw: &raw::Listener,
    context: &mut Context<'_>,
) {
    let span = raw.name.filled().map_or(raw.address.span_or(raw.span), |(_, span)| span);
    context.add(not_yet(span, &format!("{reason}: this listener is not started")));
    *service = Some(Service::Inactive(reason));
}

/// The first filter that serves decides; the others are checked.
fn filters(
    chain: &raw::FilterChain,
    network: Network,
    scope: &Scope<'_>,
    context: &mut Context<'_>,
) -> Option<Service> {
    let mut found: Vec<Option<Service>> = Vec::new();
    let mut fallback = None;
    for filter in chain.filters.items() {
        let Some((kind, span)) = filter.r#type.spanned() else {
            if filter.r#type.is_absent() {
                missing(filter.span, "type", context);
                found.push(None);
            }
            continue;
        };
        match kind.0.as_str() {
            // Registered with the routers.
            "connection_manager" => {}
            name @ ("proxy" | "tcp_proxy" | "udp_proxy") => {
                check_network(name, network, span, context);
                found.push(match name {
                    "proxy" => {
                        let proxy = proxy::proxy(filter, scope, context);
                        proxy.map(|(service, falls_back)| {
                            fallback = fallback.or(falls_back);
                            service
                        })
                    }
                    "tcp_proxy" => {
                        stream_proxy::proxy(filter, scope.names, context).map(Service::Tcp)
                    }
                    _ => stream_proxy::datagrams(filter, scope.names, context).map(Service::Udp),
                });
            }
            name @ ("tunnel" | "grpc") => {
                let reason = format!("the network filter `{name}`");
                context.add(not_yet(
                    span,
                    &format!("{reason}: a listener that needs it is not started"),
                ));
                found.push(Some(Service::Inactive(reason)));
            }
            other => {
                let message = format!("no network filter is named `{other}`; it is skipped");
                let fault = Fault::warning(span, "unknown-network-filter", message);
                context.add(fault.suggest(other, NetworkFilterType::CHOICES.iter().copied()));
            }
        }
    }
    if found.is_empty() && !matches!(chain.filters, Field::Faulty) {
        let span = chain.filters.span_or(chain.span);
        let fault =
            Fault::error(span, "nothing-serves", "no filter of this chain serves a connection");
        context.add(fault.help("add a filter of the type `proxy`, `tcp_proxy` or `udp_proxy`"));
        return None;
    }
    // A filter that cannot run yet does not hand over to the next one: what it guards stays shut.
    let inactive = found.iter().position(|s| matches!(s, Some(Service::Inactive(_))));
    if let (None, Some(span)) = (inactive, fallback) {
        fall_back(&mut found, span, context);
    }
    found.into_iter().nth(inactive.unwrap_or(0)).flatten()
}

/// Gives what no protocol fits to the next `tcp_proxy`.
fn fall_back(found: &mut [Option<Service>], span: Span, context: &mut Context<'_>) {
    let [Some(Service::Http(proxy)), others @ ..] = found else { return };
    let next = others.iter().find_map(|other| match other {
        Some(Service::Tcp(next)) => Some(next.clone()),
        _ => None,
    });
    if next.is_none() && others.iter().all(Option::is_some) {
        let message = "there is nothing to fall back to: no `tcp_proxy` comes after this `proxy`";
        let fault = Fault::warning(span, "no-fallback", message);
        context.add(fault.help("what fits no protocol is refused"));
    }
    proxy.fallback = next;
}

fn check_network(filter: &str, network: Network, span: Span, context: &mut Context<'_>) {
    if (filter == "udp_proxy") == (network == Network::Udp) {
        return;
    }
    let message = match network {
        Network::Udp => format!("`{filter}` does not serve UDP"),
        _ => "`udp_proxy` serves only UDP".to_owned(),
    };
    let help = if network == Network::Udp {
        "use `udp_proxy`"
    } else {
        "give the listener `\"network\": \"udp\"`"
    };
    context.add(Fault::error(span, "wrong-network", message).help(help));
}

/// Virtual listeners are reached through `use_original_dst` of another one, and by nothing else.
fn warn_unreachable(raws: &[raw::Listener], all: &[Listener], context: &mut Context<'_>) {
    if all.iter().any(|listener| listener.bind && listener.original_dst.is_some()) {
        return;
    }
    for raw in raws.iter().filter(|raw| !raw.bind_port.or(false)) {
        if matches!(raw.bind_port, Field::Faulty) {
            continue;
        }
        let message =
            "nothing reaches this listener: it is virtual, and no other one has `use_original_dst`";
        let span = raw.bind_port.span_or(raw.address.span_or(raw.span));
        let fault = Fault::warning(span, "virtual-listener", message);
        context.add(
            fault.help("`\"bind_port\": true` makes it listen; the default is false, as in MOSN"),
        );
    }
}
