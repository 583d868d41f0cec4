//! `sockets`: hooks around the socket calls of the process.

use std::io::ErrorKind;

use crate::LoadOptions;
use crate::checked::{Config, ConnectFault, FaultEffect, SocketHooks};
use crate::context::Context;
use crate::diagnostic::{Diagnostics, Fault};
use crate::format::{self as raw, Decode as _, FaultError, Field, Mosn};
use crate::load::parse_text;

use super::stream::{device, ip};
use super::{ClusterFacts, Names, missing};

/// Reads a JSON list as `sockets.faults` has it, by itself: for whoever changes the faults of a running process.
///
/// # Errors
/// Everything that is wrong with it, unknown keys among that.
pub fn faults(text: &str, config: &Config) -> Result<Vec<ConnectFault>, Diagnostics> {
    let options = LoadOptions { strict: true, ..LoadOptions::default() };
    let (mut context, root) = parse_text("faults", text, &options);
    let clusters = config.clusters.iter();
    let names = Names {
        clusters: clusters
            .map(|(name, cluster)| (name.clone(), ClusterFacts::of(cluster)))
            .collect(),
    };
    let raw = root.and_then(|root| Vec::<raw::SocketFault>::decode(&root, &mut context));
    let faults = raw.iter().flatten().filter_map(|raw| fault(raw, &names, &mut context)).collect();
    let diagnostics = context.report.finish();
    if diagnostics.has_errors() { Err(diagnostics) } else { Ok(faults) }
}

pub(super) fn sockets(mosn: &Mosn, names: &Names, context: &mut Context<'_>) -> SocketHooks {
    let Some(raw) = mosn.sockets.value() else { return SocketHooks::default() };
    let absent = raw::AcceptLimit::default();
    let accept = raw.accept_limit.value().unwrap_or(&absent);
    let mut limit = |field: &Field<u32>| match field.spanned() {
        Some((0, span)) => {
            let fault = Fault::error(span, "out-of-range", "a limit is above zero");
            context.add(fault.help("leave the key out for no limit"));
            None
        }
        Some((limit, _)) => Some(*limit),
        None => None,
    };
    let (listen_limit, accept_total) = (limit(&raw.listen_limit), limit(&accept.total));
    let (accept_per_listener, accept_per_client) =
        (limit(&accept.per_listener), limit(&accept.per_client));
    let faults = raw.faults.items().iter();
    SocketHooks {
        listen_limit,
        accept_total,
        accept_per_listener,
        accept_per_client,
        dial_log: raw.dial_log.or(false),
        mark: raw.mark.or(0),
        bind: ip(&raw.bind_address, context),
        device: device(&raw.bind_device, context),
        tproxy: raw.tproxy.or(false),
        faults: faults.filter_map(|raw| fault(raw, names, context)).collect(),
    }
}

fn fault(raw: &raw::SocketFault, names: &Names, context: &mut Context<'_>) -> Option<ConnectFault> {
    let cluster = match raw.cluster.filled() {
        Some((name, span)) => {
            names.cluster(name, span, context).map(|name| name.as_ref().to_owned())
        }
        None => Some(String::new()),
    };
    let percent = raw.percent.or(100.0);
    if !(0.0..=100.0).contains(&percent) {
        let span = raw.percent.span_or(raw.span);
        context.add(Fault::error(span, "out-of-range", "expected a percentage from 0 to 100"));
    }
    let effect = match (raw.error.spanned(), raw.delay.spanned()) {
        (Some(_), Some((_, span))) => {
            let message = "`error` and `delay` exclude each other";
            context.add(Fault::error(span, "both-given", message).help("write two faults"));
            None
        }
        (Some((error, span)), None) => match error.0.as_str() {
            "refused" => Some(ErrorKind::ConnectionRefused),
            "reset" => Some(ErrorKind::ConnectionReset),
            "timeout" => Some(ErrorKind::TimedOut),
            "unreachable" => Some(ErrorKind::HostUnreachable),
            other => {
                let message = format!("a connect does not fail by `{other}`");
                let fault = Fault::error(span, "unknown-value", message);
                context.add(fault.suggest(other, FaultError::CHOICES.iter().copied()));
                None
            }
        }
        .map(FaultEffect::Fail),
        (None, Some((delay, _))) => Some(FaultEffect::Delay(*delay)),
        (None, None) => {
            if raw.error.is_absent() && raw.delay.is_absent() {
                missing(raw.span, "error", context);
            }
            None
        }
    };
    Some(ConnectFault { cluster: cluster?, percent, effect: effect? })
}
