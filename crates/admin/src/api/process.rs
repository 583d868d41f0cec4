//! The process: its version, state and surroundings, reload and stop.

use std::collections::BTreeMap;

use hyper::{Method, StatusCode};
use serde::Serialize;

use super::Call;
use crate::control::{Outcome, Report, stage};
use crate::request::{Reply, failure, json_indented, text};

/// Scripts look for the words before the number.
pub(super) fn version(call: &Call) -> Reply {
    text(StatusCode::OK, format!("mosn version: {}", call.control.version()))
}

pub(super) fn states(call: &Call) -> Reply {
    let (pid, state) = (call.control.pid(), call.control.state());
    text(StatusCode::OK, format!("pid={pid}&state={state}\n"))
}

/// No process plugin can be registered, so these are MOSN's replies without any (its spelling).
pub(super) fn plugin(call: &Call) -> Reply {
    let named = |key| call.query.first(key).filter(|name| !name.is_empty());
    let unknown =
        |name: &str| text(StatusCode::BAD_REQUEST, format!("pulgin {name} no register\n"));
    if let Some(name) = named("enable").or(named("disable")) {
        return unknown(name);
    }
    match named("status") {
        Some("all") => text(StatusCode::OK, "\n"),
        Some(name) => unknown(name),
        None => text(
            StatusCode::BAD_REQUEST,
            "Usage:\n/plugin?status=all\n/plugin?status=pluginname\n\
             /plugin?enable=pluginname\n/plugin?disable=pluginname\n",
        ),
    }
}

/// All feature gates, or with `key=` whether one is open.
pub(super) fn features(call: &Call) -> Reply {
    let features: BTreeMap<_, _> = call.control.features().into_iter().collect();
    if call.query.keys().is_empty() {
        return json_indented(StatusCode::OK, &features);
    }
    let key = call.query.first("key").unwrap_or_default();
    text(StatusCode::OK, features.get(key).copied().unwrap_or_default().to_string())
}

#[derive(Serialize)]
struct Environment<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_found: Vec<&'a str>,
}

/// The values of each `key=`.
pub(super) fn environment(call: &Call) -> Reply {
    let mut found = Environment { env: BTreeMap::new(), not_found: Vec::new() };
    for name in call.query.all("key") {
        match call.control.environment(name) {
            Some(value) => drop(found.env.insert(name, value)),
            None => found.not_found.push(name),
        }
    }
    if found.env.is_empty() && found.not_found.is_empty() {
        return failure(StatusCode::BAD_REQUEST, "no env key");
    }
    json_indented(StatusCode::OK, &found)
}

/// 200 with what changed, or 422 with what is wrong.
pub(super) async fn reload(call: Call) -> Reply {
    let control = call.control.clone();
    // A task of its own: a client that goes away must not leave the reload half done.
    let outcome: Result<Outcome, _> = tokio::spawn(async move { control.reload().await }).await;
    let (status, report) = match outcome {
        Ok(Ok(report)) => (StatusCode::OK, report),
        Ok(Err(report)) => (StatusCode::UNPROCESSABLE_ENTITY, report),
        Err(_) => return failure(StatusCode::INTERNAL_SERVER_ERROR, "the reload was cut short"),
    };
    tell(&call, status, report)
}

/// The faults that are made on purpose; a body of POST takes their place: 200, or 422 with what is wrong.
pub(super) fn faults(call: &Call) -> Reply {
    if call.method != Method::POST {
        return json_indented(StatusCode::OK, &call.control.faults());
    }
    let Ok(body) = std::str::from_utf8(&call.body) else {
        return failure(StatusCode::BAD_REQUEST, "the body is not UTF-8");
    };
    match call.control.set_faults(body) {
        Ok(report) => tell(call, StatusCode::OK, report),
        Err(report) => tell(call, StatusCode::UNPROCESSABLE_ENTITY, report),
    }
}

/// A report in the form that the client wants.
fn tell(call: &Call, status: StatusCode, report: Report) -> Reply {
    if call.wants_json {
        return json_indented(status, &report.json);
    }
    let mut body = report.text;
    if !body.is_empty() && !body.ends_with('\n') {
        body.push('\n');
    }
    text(status, body)
}

/// Stops when active requests are done, or with `graceful=false` at once.
pub(super) fn stop(call: &Call) -> Reply {
    let graceful = match call.query.first("graceful") {
        None | Some("" | "true" | "1") => true,
        Some("false" | "0") => false,
        Some(_) => return failure(StatusCode::BAD_REQUEST, "graceful must be true or false"),
    };
    call.control.stop(graceful);
    text(StatusCode::OK, if graceful { "stopping gracefully\n" } else { "stopping\n" })
}

/// The control thread answers.
pub(super) fn healthz(_: &Call) -> Reply {
    text(StatusCode::OK, "ok\n")
}

/// Traffic is served, and not about to end.
pub(super) fn ready(call: &Call) -> Reply {
    let state = call.control.state();
    if matches!(state, stage::RUNNING | stage::STARTING_NEW_SERVER) {
        return text(StatusCode::OK, "ready\n");
    }
    text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: state={state}\n"))
}
