//! The filter chain of a listener: which of its network filters serves.

use crate::checked::{Network, Service};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field, NetworkFilterType};
use crate::text::Span;

use super::listener::Scope;
use super::{missing, not_yet, proxy, stream_proxy};

/// What the one filter chain does.
pub(super) fn service(
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
