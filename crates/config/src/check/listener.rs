//! Listeners.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rosn_base::Addr;

use crate::Defaults;
use crate::checked::{
    IdleTimeout, Listener, ListenerTls, Network, OriginalDst, OriginalDstKind, Protocol, Service,
    StreamProxy, StreamSettings, Tproxy,
};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field, ListenerFilterType, OriginalDstType, Server};
use crate::text::Span;

use super::router;
use super::stream::{self, Found, Side};
use super::{Names, access_log, address, chain, missing, not_yet, stream_filters, tls};

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
    let mut service = chain::service(raw, network, scope, context);
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
        Arc::make_mut(stream).agree_on(&proxy.protocols);
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

/// TLS of the one filter chain; turns the listener off where it needs what is not there yet.
fn tls(
    raw: &raw::Listener,
    service: &mut Option<Service>,
    context: &mut Context<'_>,
) -> Option<ListenerTls> {
    let [chain] = raw.filter_chains.items() else { return None };
    let mut found = match tls::listener(chain, context) {
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
    if let Some(Service::Http(proxy)) = service {
        offer_only(&proxy.protocols, &mut found, chain, context);
    }
    Some(found)
}

/// Leaves out what TLS would offer by `alpn` and the proxy does not speak.
fn offer_only(
    protocols: &[Protocol],
    tls: &mut ListenerTls,
    chain: &raw::FilterChain,
    context: &mut Context<'_>,
) {
    let spoken = Protocol::alpn(protocols);
    for name in tls.contexts.iter().flat_map(|tls| &tls.alpn) {
        if !spoken.contains(&name.as_str()) {
            let message = format!("`alpn` offers `{name}`, which this proxy does not speak");
            let fault = Fault::warning(chain.span, "no-effect", message);
            context.add(fault.help("it is left out; `downstream_protocol` says what is spoken"));
        }
    }
    for tls in &mut tls.contexts {
        tls.alpn.retain(|name| spoken.contains(&name.as_str()));
    }
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
