//! The network filter `proxy`.

use crate::checked::{
    ClientCertMode, ForwardClientCert, Http2Settings, HttpProxy, Protocol, Service,
};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Decode, ExtendConfig, Field, NetworkFilter, Proxy};
use crate::text::Span;

use super::listener::Scope;
use super::{missing, not_yet, tunnel};

/// The protocols, in the order in which `Auto` means them.
const PROTOCOLS: [Protocol; 7] = [
    Protocol::Http1,
    Protocol::Http2,
    Protocol::Bolt,
    Protocol::BoltV2,
    Protocol::Dubbo,
    Protocol::DubboThrift,
    Protocol::Tars,
];

fn protocol_names() -> impl Iterator<Item = &'static str> {
    PROTOCOLS.iter().map(|protocol| protocol.as_str()).chain(["Auto", "X"])
}

pub(super) fn proxy(
    filter: &NetworkFilter,
    scope: &Scope<'_>,
    context: &mut Context<'_>,
) -> Option<(Service, Option<Span>)> {
    let Some((config, _)) = filter.config.spanned() else {
        if filter.config.is_absent() {
            missing(filter.span, "config", context);
        }
        return None;
    };
    let raw = Proxy::decode(&config.0, context)?;
    if let Some((name, span)) = raw.router_handler_name.filled()
        && name != "default"
    {
        let message = "a way to find routes that is written in Go is not run; the default one is";
        context.add(Fault::notice(span, "go-only", message));
    }
    let router = router(&raw, scope, context);
    let upstream_protocol = upstream_protocol(&raw.upstream_protocol, context);
    let (written, span) = protocol_text(&raw, context)?;
    let protocols = protocols(written, span, context)?;
    let (max_head_bytes, max_body_bytes) = limits(&raw, context);
    let tunnel = tunnel::rules(&raw.tunnel, context);
    let router = router?;
    if protocols.is_empty() {
        let reason = format!("the protocol `{written}`");
        context.add(not_yet(span, &format!("{reason}: this listener is not started")));
        return Some((Service::Inactive(reason), None));
    }
    let fallback = raw.fallback_for_unknown_protocol.spanned();
    let fallback = fallback.and_then(|(on, span)| on.then_some(span));
    let http2 = raw.extend_config.value().map(|extend| &extend.http2);
    let service = Service::Http(Box::new(HttpProxy {
        protocols,
        fallback: None,
        upstream_protocol,
        router,
        max_head_bytes,
        max_body_bytes,
        tunnel,
        grpc_metric: false, // the listener says it
        server_timing: raw.server_timing.value().map_or_else(Default::default, |timing| timing.0),
        http2: http2.map_or_else(Http2Settings::for_clients, |raw| {
            super::http2::settings(raw, Http2Settings::for_clients(), context)
        }),
        client_cert: forward_client_cert(&raw, context),
    }));
    Some((service, fallback))
}

/// What becomes of `x-forwarded-client-cert`.
fn forward_client_cert(raw: &Proxy, context: &mut Context<'_>) -> ForwardClientCert {
    let mut found = ForwardClientCert::default();
    if let Some((mode, span)) = raw.forward_client_cert.spanned() {
        found.mode = match mode.0.as_str() {
            "" | "sanitize" => ClientCertMode::Sanitize,
            "forward_only" => ClientCertMode::ForwardOnly,
            "append_forward" => ClientCertMode::AppendForward,
            "sanitize_set" => ClientCertMode::SanitizeSet,
            "always_forward_only" => ClientCertMode::AlwaysForwardOnly,
            other => {
                let message = format!("no way to forward client certificates is named `{other}`");
                let fault = Fault::error(span, "unknown-client-cert", message);
                let choices = raw::ForwardClientCert::CHOICES.iter().copied();
                context.add(fault.suggest(other, choices));
                ClientCertMode::Sanitize
            }
        };
    }
    let details = &mut found.details;
    for name in raw.forward_client_cert_details.items() {
        let flag = match name.value.as_str() {
            "subject" => &mut details.subject,
            "uri" => &mut details.uri,
            "dns" => &mut details.dns,
            "cert" => &mut details.cert,
            "chain" => &mut details.chain,
            other => {
                let message = format!("no detail of a client's certificate is named `{other}`");
                let fault = Fault::error(name.span, "unknown-client-cert", message);
                context.add(fault.suggest(other, ["subject", "uri", "dns", "cert", "chain"]));
                continue;
            }
        };
        *flag = true;
    }
    let sets = matches!(found.mode, ClientCertMode::AppendForward | ClientCertMode::SanitizeSet);
    if let (false, Some((_, span))) = (sets, raw.forward_client_cert_details.spanned()) {
        let message = "with this `forward_client_cert` nothing is said of a client's certificate";
        let fault = Fault::warning(span, "no-effect", message);
        context.add(fault.help("the details are for `append_forward` and `sanitize_set`"));
    }
    found
}

fn router(
    raw: &Proxy,
    scope: &Scope<'_>,
    context: &mut Context<'_>,
) -> Option<std::sync::Arc<str>> {
    let Some((name, span)) = raw.router_config_name.filled() else {
        if !matches!(raw.router_config_name, Field::Faulty) {
            missing(raw.span, "router_config_name", context);
        }
        return None;
    };
    if let Some((name, _)) = scope.routers.get_key_value(name) {
        return Some(name.clone());
    }
    let fault = Fault::error(span, "unknown-router", format!("no router is named `{name}`"));
    context.add(fault.suggest(name, scope.routers.keys().map(AsRef::as_ref)));
    None
}

/// Where the names of what clients may speak stand.
fn protocol_text<'r>(raw: &'r Proxy, context: &mut Context<'_>) -> Option<(&'r str, Span)> {
    let Some((text, span)) = raw.downstream_protocol.filled() else {
        if !matches!(raw.downstream_protocol, Field::Faulty) {
            let fault = Fault::error(raw.span, "missing-key", "`downstream_protocol` is missing");
            context.add(fault.help("such as `\"downstream_protocol\": \"Http1\"`, or `\"Auto\"`"));
        }
        return None;
    };
    if text.trim() != "X" {
        return Some((text, span));
    }
    let sub = raw.extend_config.value().and_then(|extend| extend.sub_protocol.filled());
    if sub.is_none() {
        let message = "`X` says nothing without `extend_config.sub_protocol`";
        let fault = Fault::error(span, "missing-key", message);
        context.add(fault.help("write the protocol itself, such as `bolt`"));
    }
    sub
}

/// What clients may speak, of what this build speaks; empty where that is nothing.
fn protocols(text: &str, span: Span, context: &mut Context<'_>) -> Option<Vec<Protocol>> {
    let mut all = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if name == "Auto" {
            all = PROTOCOLS.to_vec();
            break;
        }
        let Some(protocol) = PROTOCOLS.iter().find(|known| known.as_str() == name) else {
            unknown(name, span, context);
            return None;
        };
        if !all.contains(protocol) {
            all.push(*protocol);
        }
    }
    if all.is_empty() {
        unknown(text, span, context);
        return None;
    }
    let spoken: Vec<_> = all.iter().copied().filter(|protocol| is_spoken(*protocol)).collect();
    if !spoken.is_empty() && spoken.len() < all.len() {
        context.add(not_yet(span, "RPC protocols: their connections are not recognised"));
    }
    Some(spoken)
}

/// Whether this build speaks it.
fn is_spoken(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Http1 | Protocol::Http2)
}

fn unknown(name: &str, span: Span, context: &mut Context<'_>) {
    let fault = Fault::error(span, "unknown-protocol", format!("no protocol is named `{name}`"));
    context.add(fault.suggest(name, protocol_names()));
}

/// The protocol to a cluster, where it names one.
pub(super) fn upstream_protocol(
    field: &Field<String>,
    context: &mut Context<'_>,
) -> Option<Protocol> {
    let (name, span) = field.filled()?;
    if matches!(name, "Auto" | "X") || name.contains(',') {
        return None;
    }
    let Some(protocol) = PROTOCOLS.iter().find(|known| known.as_str() == name) else {
        unknown(name, span, context);
        return None;
    };
    if !is_spoken(*protocol) {
        let what =
            format!("the upstream protocol `{name}`: requests that need it are answered with 503");
        context.add(not_yet(span, &what));
    }
    Some(*protocol)
}

/// The limits of HTTP/1, flat or below the protocol's name, which wins.
fn limits(raw: &Proxy, context: &mut Context<'_>) -> (Option<usize>, Option<u64>) {
    let Some(extend) = raw.extend_config.value() else { return (None, None) };
    let ExtendConfig { http1, max_header_size, max_request_body_size, .. } = extend;
    let nested = http1.value();
    let head =
        nested.and_then(|http1| http1.max_header_size.spanned()).or(max_header_size.spanned());
    let body = nested.and_then(|http1| http1.max_request_body_size.value());
    let body = body.or(max_request_body_size.value());
    if let Some((size, span)) = head
        && (1..256).contains(size)
    {
        let message = "hardly any request has a head of less than 256 bytes";
        context.add(Fault::warning(span, "small-limit", message));
    }
    let head = head.map(|(size, _)| *size as usize).filter(|size| *size > 0);
    (head, body.copied().filter(|size| *size > 0))
}
