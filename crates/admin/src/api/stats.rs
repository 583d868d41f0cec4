//! `/api/v1/stats`, `/api/v1/stats_glob`, `/metrics`, `/api/v1/connections` and `/api/v1/clusters`.

use hyper::StatusCode;
use serde_json::json;

use super::Call;
use crate::control::WorkerConnections;
use crate::metrics::exposition;
use crate::request::{Reply, json_indented, reply, text};

/// All statistics, or with `key=` some.
pub(super) fn stats(call: &Call) -> Reply {
    let key = match call.query.keys()[..] {
        [] => None,
        [_] => Some(call.query.first("key").unwrap_or_default()),
        _ => return text(StatusCode::BAD_REQUEST, "only support one parameter"),
    };
    match (call.control.stats(key), key) {
        (Some(stats), _) => reply(StatusCode::OK, "application/json", stats.into()),
        (None, Some(key)) => text(StatusCode::OK, format!("no metrics key: {key}")),
        (None, None) => json_indented(StatusCode::OK, &json!({})),
    }
}

pub(super) fn glob(call: &Call) -> Reply {
    text(StatusCode::OK, call.control.stats_glob())
}

pub(super) fn prometheus(call: &Call) -> Reply {
    exposition(call.control.prometheus())
}

/// What is open, in all and in each worker.
pub(super) fn connections(call: &Call) -> Reply {
    let workers = call.control.connections();
    let total =
        workers.iter().fold(WorkerConnections::default(), |sum, worker| WorkerConnections {
            downstream: sum.downstream + worker.downstream,
            requests: sum.requests + worker.requests,
            upstream: sum.upstream + worker.upstream,
        });
    json_indented(StatusCode::OK, &json!({"total": total, "workers": workers}))
}

/// The clusters and how their endpoints are.
pub(super) fn clusters(call: &Call) -> Reply {
    json_indented(StatusCode::OK, &call.control.clusters())
}
