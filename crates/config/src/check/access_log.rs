//! Access logs.

use std::path::{Path, PathBuf};

use crate::checked::{AccessLog, AccessLogFormat};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Listener};

use super::log_template;

/// MOSN's line (`pkg/log/accesslog.go`).
const DEFAULT_FORMAT: &str = "%start_time% %trace_id%  %connection_id% %upstream_connection_id% \
    %request_received_duration% %response_received_duration% %bytes_sent% %bytes_received% %protocol% \
    %response_code% %duration% %response_flag% %response_code% %upstream_local_address% \
    %downstream_local_address% %downstream_remote_address% %upstream_host%";

/// The access logs of a listener; `default_path` is where one goes that names no file.
pub(super) fn access_logs(
    raw: &Listener,
    default_path: &Path,
    context: &mut Context<'_>,
) -> Vec<AccessLog> {
    raw.access_logs
        .items()
        .iter()
        .filter_map(|log| access_log(log, default_path, context))
        .collect()
}

fn access_log(
    raw: &raw::AccessLog,
    default_path: &Path,
    context: &mut Context<'_>,
) -> Option<AccessLog> {
    let path =
        raw.log_path.filled().map_or(default_path.to_owned(), |(path, _)| PathBuf::from(path));
    let format = match raw.json_format.spanned() {
        Some((fields, _)) => {
            if let Some((_, span)) = raw.log_format.filled() {
                let message = "`log_format` has no effect beside `json_format`";
                context.add(Fault::warning(span, "no-effect", message));
            }
            let compiled: Vec<_> = fields
                .0
                .iter()
                .map(|(key, span, text)| {
                    Some((key.as_ref().to_owned(), log_template(text, *span, context)?))
                })
                .collect();
            AccessLogFormat::Json(compiled.into_iter().collect::<Option<_>>()?)
        }
        None => {
            let text = raw.log_format.filled().map_or(DEFAULT_FORMAT, |(text, _)| text);
            AccessLogFormat::Text(log_template(text, raw.log_format.span_or(raw.span), context)?)
        }
    };
    Some(AccessLog { path, format })
}
