//! Routers and virtual hosts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::checked::{Router, VirtualHost};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Decode, Field, RequireTls, Server};
use crate::text::Span;

use super::{Names, headers, missing, route};

/// A router and where its name is.
pub(super) struct Found {
    pub(super) router: Router,
    span: Span,
    /// From `connection_manager`, the old way.
    old: bool,
}

/// All routers by name: those of `routers`, and those of `connection_manager` filters.
pub(super) fn routers(
    server: Option<&Server>,
    names: &Names,
    context: &mut Context<'_>,
) -> BTreeMap<Arc<str>, Found> {
    let mut all = BTreeMap::new();
    let Some(server) = server else { return all };
    for raw in server.routers.items() {
        add(raw, false, &mut all, names, context);
    }
    let listeners = server.listeners.items().iter();
    let filters = listeners
        .flat_map(|listener| listener.filter_chains.items())
        .flat_map(|chain| chain.filters.items());
    for filter in filters {
        let kind = filter.r#type.value().map(|kind| kind.0.as_str());
        if kind == Some("connection_manager")
            && let Some(config) = filter.config.value()
            && let Some(raw) = raw::Router::decode(&config.0, context)
        {
            add(&raw, true, &mut all, names, context);
        }
    }
    all
}

fn add(
    raw: &raw::Router,
    old: bool,
    all: &mut BTreeMap<Arc<str>, Found>,
    names: &Names,
    context: &mut Context<'_>,
) {
    let found = router(raw, names, context);
    let Some((name, span)) = raw.router_config_name.filled() else {
        if !matches!(raw.router_config_name, Field::Faulty) {
            missing(raw.span, "router_config_name", context);
        }
        return;
    };
    let router = Router { name: name.into(), ..found };
    if let Some(first) = all.get(name) {
        let place = context.sources.place(first.span);
        // What stands in `routers` wins over what stands in a filter; else the last one, as in MOSN.
        let wins = if old && !first.old {
            "the one in `routers` counts"
        } else {
            "this one replaces the first"
        };
        let message = format!("a second router is named `{name}`; {wins}");
        let fault = Fault::warning(span, "duplicate-router", message);
        context.add(fault.help(format!("first given at {place}")));
        if old && !first.old {
            return;
        }
    }
    all.insert(router.name.clone(), Found { router, span, old });
}

fn router(raw: &raw::Router, names: &Names, context: &mut Context<'_>) -> Router {
    let mut domains = HashMap::new();
    let hosts = raw.virtual_hosts.items();
    if hosts.is_empty() && !matches!(raw.virtual_hosts, Field::Faulty) {
        let span = raw.router_config_name.span_or(raw.span);
        let message = "this router has no virtual hosts";
        context.add(
            Fault::warning(span, "no-virtual-hosts", message)
                .help("every request is answered with 404"),
        );
    }
    Router {
        name: "".into(),
        edits: headers::edits(
            &raw.request_headers_to_add,
            &raw.request_headers_to_remove,
            &raw.response_headers_to_add,
            &raw.response_headers_to_remove,
            context,
        ),
        virtual_hosts: hosts
            .iter()
            .map(|host| virtual_host(host, &mut domains, names, context))
            .collect(),
    }
}

fn virtual_host(
    raw: &raw::VirtualHost,
    taken: &mut HashMap<String, Span>,
    names: &Names,
    context: &mut Context<'_>,
) -> VirtualHost {
    let mut domains = Vec::with_capacity(raw.domains.items().len());
    for domain in raw.domains.items() {
        let name = domain.value.to_ascii_lowercase();
        check_domain(&name, domain.span, context);
        // A host without a port and a host with any port are the same to a request.
        let key = name.strip_suffix(":*").unwrap_or(&name).to_owned();
        if let Some(first) = taken.insert(key, domain.span) {
            let message = format!("the domain `{}` is given twice in this router", domain.value);
            let first = context.sources.place(first);
            let fault = Fault::error(domain.span, "duplicate-domain", message);
            context.add(fault.help(format!("first given at {first}")));
        }
        domains.push(name);
    }
    if domains.is_empty() && !matches!(raw.domains, Field::Faulty) {
        let message = "this virtual host has no domains, so no request reaches it";
        let fault = Fault::warning(raw.name.span_or(raw.span), "no-domains", message);
        context.add(fault.help("`\"domains\": [\"*\"]` takes every request"));
    }
    VirtualHost {
        name: raw.name.text().to_owned(),
        domains,
        require_tls: require_tls(raw, context),
        edits: headers::edits(
            &raw.request_headers_to_add,
            &raw.request_headers_to_remove,
            &raw.response_headers_to_add,
            &raw.response_headers_to_remove,
            context,
        ),
        routes: route::routes(raw.routers.items(), names, context),
    }
}

fn check_domain(domain: &str, span: Span, context: &mut Context<'_>) {
    let rest = domain.strip_suffix(":*").unwrap_or(domain);
    let rest = rest.strip_prefix('*').unwrap_or(rest);
    if domain.is_empty() {
        context.add(Fault::error(span, "bad-domain", "this domain is empty"));
    } else if rest.contains('*') {
        let message = "a `*` stands only at the beginning of a domain; here it means itself";
        context.add(Fault::warning(span, "bad-domain", message));
    } else if domain.contains("://") || domain.contains('/') {
        let message = "a domain has no scheme and no path, so no request reaches this one";
        let fault = Fault::warning(span, "bad-domain", message);
        context.add(fault.help("write `host` or `host:port`"));
    }
}

fn require_tls(raw: &raw::VirtualHost, context: &mut Context<'_>) -> bool {
    let Some((mode, span)) = raw.require_tls.spanned() else { return false };
    match mode.0.to_ascii_uppercase().as_str() {
        "" | "NONE" => false,
        "ALL" => true,
        "EXTERNAL_ONLY" => {
            let message =
                "`EXTERNAL_ONLY` counts as `ALL`: requests from this machine need TLS too";
            context.add(Fault::warning(span, "require-tls", message));
            true
        }
        _ => {
            let message = format!("`{}` does not say whether TLS is needed", mode.0);
            let fault = Fault::error(span, "require-tls", message);
            context.add(fault.suggest(&mode.0, RequireTls::CHOICES.iter().copied()));
            true
        }
    }
}
