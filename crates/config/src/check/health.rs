//! Health checks of clusters.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::checked::{GrpcQuestion, HealthCheck, HttpQuestion, Question};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field};

use super::stream::{is_target, is_token};

/// A host is not asked more often.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// The health check of a cluster; `tls` says whether its connections are to speak it.
pub(super) fn check(
    raw: &raw::Cluster,
    cluster: &str,
    tls: bool,
    context: &mut Context<'_>,
) -> Option<HealthCheck> {
    let raw = raw.health_check.value()?;
    let (question, limit) = question(raw, tls, context);
    // For Go, zero is what is not written.
    let or = |field: &Field<Duration>, default| match field.or(default) {
        Duration::ZERO => default,
        given => given,
    };
    let threshold = |field: &Field<u32>| NonZeroU32::new(field.or(1)).unwrap_or(NonZeroU32::MIN);
    let mut interval = or(&raw.interval, Duration::from_secs(15));
    if interval < LEAST_INTERVAL {
        let message = "a host is asked at most 100 times a second; 10ms is taken";
        context.add(Fault::warning(raw.interval.span_or(raw.span), "out-of-range", message));
        interval = LEAST_INTERVAL;
    }
    let timeout = or(&raw.timeout, Duration::from_secs(1));
    Some(HealthCheck {
        service: raw.service_name.filled().map_or(cluster, |(name, _)| name).into(),
        question,
        timeout: limit.map_or(timeout, |limit| limit.min(timeout)),
        interval,
        jitter: raw.interval_jitter.or(Duration::from_millis(5)),
        initial_delay: raw.initial_delay_seconds.or(Duration::from_secs(1)),
        healthy_threshold: threshold(&raw.healthy_threshold),
        unhealthy_threshold: threshold(&raw.unhealthy_threshold),
        event_log: raw.event_log_path.filled().map(|(path, _)| PathBuf::from(path)),
    })
}

/// What is asked, and how long that may take by its own account.
fn question(
    raw: &raw::HealthCheck,
    tls: bool,
    context: &mut Context<'_>,
) -> (Question, Option<Duration>) {
    let config = raw.check_config.value();
    let span = raw.protocol.span_or(raw.span);
    match raw.protocol.text() {
        "Http1" => match config.and_then(|config| config.http_check_config.value()) {
            Some(config) => {
                let limit = config.timeout.value().copied().filter(|limit| !limit.is_zero());
                (Question::Http(http(config, tls, context)), limit)
            }
            None => {
                let message = "without `check_config.http_check_config`, hosts are asked for a \
                    TCP connection only";
                context.add(Fault::warning(span, "no-effect", message));
                (Question::Connect, None)
            }
        },
        "Grpc" => {
            let config = config.and_then(|config| config.grpc_check_config.value());
            let limit = config.and_then(|config| config.timeout.value().copied());
            let question = GrpcQuestion {
                service: config.map(|c| c.service.text().to_owned()).unwrap_or_default(),
                authority: config.and_then(|config| authority(&config.authority, context)),
                tls,
            };
            (Question::Grpc(question), limit.filter(|limit| !limit.is_zero()))
        }
        other => {
            let known = ["Http1", "Grpc"];
            if let Some(meant) = known.iter().find(|name| name.eq_ignore_ascii_case(other)) {
                let message =
                    format!("hosts are asked for a TCP connection, as `{other}` is not `{meant}`");
                let fault = Fault::warning(span, "unknown-check-protocol", message);
                context.add(fault.help(format!("write `{meant}`")));
            }
            (Question::Connect, None)
        }
    }
}

fn http(raw: &raw::HttpCheck, tls: bool, context: &mut Context<'_>) -> HttpQuestion {
    let port = raw.port.spanned().filter(|(port, _)| **port != 0);
    let port = port.and_then(|(port, span)| {
        let port = u16::try_from(*port).ok();
        if port.is_none() {
            context.add(Fault::error(span, "out-of-range", "a port is at most 65535"));
        }
        port
    });
    let method = match raw.method.filled() {
        None => "GET",
        Some((method, _)) if is_token(method) => method,
        Some((_, span)) => {
            context.add(Fault::error(span, "bad-method", "this is no method of HTTP"));
            "GET"
        }
    };
    HttpQuestion {
        port,
        method: method.to_owned(),
        path: path(raw, context),
        tls: scheme(raw, context).unwrap_or(tls && port.is_none()),
        domain: authority(&raw.domain, context),
        codes: codes(raw, context),
    }
}

/// With a leading slash, as Go's URLs have it.
fn path(raw: &raw::HttpCheck, context: &mut Context<'_>) -> String {
    let Some((path, span)) = raw.path.filled() else { return "/".to_owned() };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    if !is_target(&path) {
        let fault = Fault::error(span, "bad-path", "this is no path");
        context.add(fault.help("write what is not printable ASCII as `%` and two hex digits"));
    }
    path
}

fn scheme(raw: &raw::HttpCheck, context: &mut Context<'_>) -> Option<bool> {
    let (scheme, span) = raw.scheme.filled()?;
    match scheme {
        "http" => Some(false),
        "https" => Some(true),
        other => {
            let message = format!("no scheme of a health check is named `{other}`");
            let fault = Fault::warning(span, "unknown-scheme", message);
            context.add(fault.suggest(other, ["http", "https"]));
            None
        }
    }
}

fn authority(field: &Field<String>, context: &mut Context<'_>) -> Option<String> {
    let (text, span) = field.filled()?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        context.add(Fault::error(span, "bad-value", "a host has no spaces and only ASCII"));
    }
    Some(text.to_owned())
}

fn codes(raw: &raw::HttpCheck, context: &mut Context<'_>) -> Vec<(u16, u16)> {
    let mut codes = Vec::new();
    for range in raw.codes.items() {
        let bound = |field: &Field<u32>| u16::try_from(field.or(0)).unwrap_or(u16::MAX);
        let (first, last) = (bound(&range.start), bound(&range.end));
        if first > last {
            let message = format!("no status code is from {first} to {last}");
            context.add(Fault::warning(range.span, "no-effect", message));
        }
        codes.push((first, last));
    }
    if codes.is_empty() { vec![(200, 200)] } else { codes }
}
