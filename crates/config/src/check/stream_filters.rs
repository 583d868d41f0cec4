//! Stream filters. Of those that are not active yet, it matters that nothing is served without their protection.

use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{StreamFilter, StreamFilterType};
use crate::text::Span;

use super::{missing, not_yet};

/// Checks the filters of a listener. Comes back with the reason where the listener must not start.
pub(super) fn check(filters: &[StreamFilter], context: &mut Context<'_>) -> Option<String> {
    let mut reason = None;
    for filter in filters {
        let Some((kind, span)) = filter.r#type.spanned() else {
            if filter.r#type.is_absent() {
                missing(filter.span, "type", context);
            }
            continue;
        };
        if protects(&kind.0) {
            reason = reason.or(Some(format!("the stream filter `{}`", kind.0)));
        } else if filter.go_plugin_config.value().is_some() {
            let message = format!("the stream filter `{}` is a Go plugin and is not run", kind.0);
            let fault = Fault::warning(span, "go-only", message);
            context.add(fault.help("make sure that nothing relies on it for protection"));
        } else {
            check_other(&kind.0, span, context);
        }
    }
    reason
}

/// Whether requests that this filter would refuse would be let through without it.
fn protects(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind == "ip_access"
        || ["jwt", "authn", "authz", "rbac", "auth_"].iter().any(|word| kind.contains(word))
}

/// Whether calls are counted by their method.
pub(super) fn has_grpc_metric(filters: &[StreamFilter]) -> bool {
    filters.iter().any(|filter| {
        filter.r#type.value().is_some_and(|kind| kind.0 == "grpc_metric")
            && filter.go_plugin_config.value().is_none()
    })
}

fn check_other(kind: &str, span: Span, context: &mut Context<'_>) {
    match kind {
        // It is in old examples of MOSN, which has never had it.
        "healthcheck" => {
            let message =
                "MOSN has no stream filter `healthcheck`, and neither has rosn; it is skipped";
            context.add(Fault::warning(span, "unknown-stream-filter", message));
        }
        "grpc_metric" => {}
        "payload_limit" | "flowControlFilter" => {
            let message =
                format!("not yet active: the stream filter `{kind}`; its limit is not kept");
            context.add(Fault::warning(span, "not-yet-active", message));
        }
        known if StreamFilterType::CHOICES.contains(&known) => {
            let what = format!("the stream filter `{known}`: requests pass without it");
            context.add(not_yet(span, &what));
        }
        other => {
            let message = format!("no stream filter is named `{other}`");
            let fault = Fault::error(span, "unknown-stream-filter", message);
            context.add(fault.suggest(other, StreamFilterType::CHOICES.iter().copied()));
        }
    }
}
