//! Metrics.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::checked::{Metrics, PrometheusSink, StatsMatcher};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Mosn, SinkType, Texts};

use super::missing;

pub(super) fn metrics(mosn: &Mosn, context: &mut Context<'_>) -> Metrics {
    let Some(raw) = mosn.metrics.value() else { return Metrics::default() };
    let prometheus = raw.sinks.items().iter().filter_map(|raw| sink(raw, context)).collect();
    let texts =
        |list: &raw::Field<Texts>| list.items().iter().map(|text| text.value.clone()).collect();
    let exclude = raw.stats_matcher.value().map(|matcher| StatsMatcher {
        all: matcher.reject_all.or(false),
        labels: texts(&matcher.exclusion_labels),
        keys: texts(&matcher.exclusion_keys),
    });
    Metrics { prometheus, exclude: exclude.unwrap_or_default() }
}

fn sink(raw: &raw::Sink, context: &mut Context<'_>) -> Option<PrometheusSink> {
    let Some((kind, span)) = raw.r#type.spanned() else {
        if raw.r#type.is_absent() {
            missing(raw.span, "type", context);
        }
        return None;
    };
    if kind.0 != "prometheus" {
        let message = format!("no metrics sink is named `{}`; it is skipped", kind.0);
        let fault = Fault::warning(span, "unknown-sink", message);
        context.add(fault.suggest(&kind.0, SinkType::CHOICES.iter().copied()));
        return None;
    }
    let config = raw.config.value();
    let Some(port) = config.and_then(|config| config.port.value()) else {
        if raw.config.is_absent() || config.is_some_and(|config| config.port.is_absent()) {
            missing(config.map_or(raw.span, |config| config.span), "port", context);
        }
        return None;
    };
    let endpoint =
        config.and_then(|config| config.endpoint.filled()).map_or("/metrics", |(path, _)| path);
    let slash = if endpoint.starts_with('/') { "" } else { "/" };
    Some(PrometheusSink {
        address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port.0),
        endpoint: format!("{slash}{endpoint}"),
        process: !config.is_some_and(|config| config.disable_collect_process.or(false)),
    })
}
