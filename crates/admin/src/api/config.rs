//! `/api/v1/config_dump`.

use hyper::StatusCode;

use super::Call;
use crate::dump::{Named, Parts};
use crate::request::{Reply, failure, json, json_indented, text};

/// Everything, or with exactly one of `mosnconfig`, `allrouters`, `allclusters`, `alllisteners`,
/// `router=`, `cluster=`, `listener=` a part of it.
pub(super) fn dump(call: &Call) -> Reply {
    let config = call.control.config();
    let parts = Parts::of(&config);
    let key = match call.query.keys()[..] {
        [] => return json(StatusCode::OK, &parts.all()),
        [key] => key,
        _ => return text(StatusCode::BAD_REQUEST, "only support one parameter"),
    };
    let value = call.query.first(key).unwrap_or_default();
    match key {
        "mosnconfig" => json_indented(StatusCode::OK, &parts.process()),
        "allrouters" => json_indented(StatusCode::OK, &parts.routers),
        "allclusters" => json_indented(StatusCode::OK, &parts.clusters),
        "alllisteners" => json_indented(StatusCode::OK, &parts.listeners),
        "router" => one("router", &parts.routers, value),
        "cluster" => one("cluster", &parts.clusters, value),
        "listener" => one("listener", &parts.listeners, value),
        // MOSN's answer to a key it does not know.
        _ => failure(StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
    }
}

/// MOSN sends an object of zeros for a name that it does not know; here that is an error.
fn one(kind: &str, named: &Named<'_>, name: &str) -> Reply {
    let Some(part) = named.get(name) else {
        let names: Vec<_> = named.keys().copied().collect();
        let error = format!("no {kind} has the name {name:?}");
        let body = serde_json::json!({"error": error, "names": names});
        return json_indented(StatusCode::NOT_FOUND, &body);
    };
    json_indented(StatusCode::OK, part)
}
