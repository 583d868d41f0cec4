//! The level of logs, and turning them on and off.

use std::collections::BTreeMap;

use hyper::StatusCode;
use rosn_config::checked::LogLevel;
use serde::Deserialize;
use tracing::warn;

use super::Call;
use crate::request::{Reply, failure, json, text};

const LEVELS: [(&str, LogLevel); 6] = [
    ("FATAL", LogLevel::Fatal),
    ("ERROR", LogLevel::Error),
    ("WARN", LogLevel::Warn),
    ("INFO", LogLevel::Info),
    ("DEBUG", LogLevel::Debug),
    ("TRACE", LogLevel::Trace),
];

/// `{"path": "LEVEL"}`.
pub(super) fn levels(call: &Call) -> Reply {
    let name = |level| LEVELS.iter().find(|known| known.1 == level).map(|known| known.0);
    let logs = call.control.log_levels().into_iter();
    let levels: BTreeMap<_, _> = logs.map(|(path, level)| (path, name(level))).collect();
    json(StatusCode::OK, &levels)
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct LevelChange {
    log_path: String,
    log_level: String,
}

/// `{"log_path": "", "log_level": "DEBUG"}`.
pub(super) fn update_level(call: &Call) -> Reply {
    let changed = serde_json::from_slice::<LevelChange>(&call.body)
        .map_err(|error| error.to_string())
        .and_then(|change| {
            let level = LEVELS
                .iter()
                .find(|known| known.0 == change.log_level)
                .ok_or_else(|| format!("no such level: {:?}", change.log_level))?;
            let found = call.control.set_log_level(&change.log_path, level.1);
            found.then_some(()).ok_or_else(|| format!("no such log: {:?}", change.log_path))
        });
    match changed {
        Ok(()) => text(StatusCode::OK, "update logger success\n"),
        Err(reason) => {
            // The reply is MOSN's, so the reason goes to the log, as there.
            warn!(%reason, "admin: the log level stays as it is");
            failure(StatusCode::BAD_REQUEST, "update logger failed")
        }
    }
}

/// The body is the path of the log.
pub(super) fn enable(call: &Call) -> Reply {
    toggle(call, true, "enable logger success\n", "enable logger failed")
}

/// The body is the path of the log.
pub(super) fn disable(call: &Call) -> Reply {
    toggle(call, false, "disable logger success\n", "disable logger failed")
}

fn toggle(call: &Call, enabled: bool, done: &'static str, failed: &str) -> Reply {
    let path = String::from_utf8_lossy(&call.body);
    if call.control.enable_log(&path, enabled) {
        return text(StatusCode::OK, done);
    }
    warn!(%path, "admin: there is no such log");
    failure(StatusCode::BAD_REQUEST, failed)
}
