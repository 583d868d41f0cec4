//! `rosn reload`: asks the running process over its control socket, or its admin address.

use std::time::Duration;

use anyhow::bail;
use rosn_admin::client::{Answer, ClientError, Target, post};
use rosn_admin::control_socket;
use serde_json::json;

use crate::Exit;
use crate::cli::{ControlArgs, ReportFormat};
use crate::output;
use crate::source::Source;

/// Enough for names to be resolved and ports to be bound.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run(args: &ControlArgs) -> Exit {
    let answer = Source::find(&args.config).and_then(|source| ask(&source, args.format));
    match (answer, args.format) {
        (Ok(Answer { status: 200, body }), _) => {
            output::print(&ended(body));
            Exit::Ok
        }
        (Ok(Answer { body, .. }), ReportFormat::Json) => {
            output::print(&ended(body));
            Exit::Usage
        }
        (Ok(Answer { status, body }), ReportFormat::Text) => {
            output::complain(&body);
            let why = match status {
                422 => "error: nothing was changed; the old configuration is still in force".into(),
                _ => format!("error: the running process answered {status}"),
            };
            output::complain(&why);
            Exit::Usage
        }
        (Err(error), ReportFormat::Json) => {
            output::print_json(&json!({"error": format!("{error:#}")}));
            Exit::Usage
        }
        (Err(error), ReportFormat::Text) => {
            output::complain(&format!("error: {error:#}"));
            Exit::Usage
        }
    }
}

fn ended(mut body: String) -> String {
    if !body.ends_with('\n') {
        body.push('\n');
    }
    body
}

fn ask(source: &Source, format: ReportFormat) -> anyhow::Result<Answer> {
    let path = match format {
        ReportFormat::Text => "/api/v1/reload?format=text",
        ReportFormat::Json => "/api/v1/reload?format=json",
    };
    let paths = source.paths();
    let socket = Target::Socket(paths.socket_dir.join(control_socket::NAME));
    let unreachable = match post(&socket, path, PATIENCE) {
        Err(error @ ClientError::Connect { .. }) => error,
        result => return Ok(result?),
    };
    let Some((address, token)) = paths.admin else {
        bail!("no rosn runs with this configuration: {unreachable}");
    };
    match post(&Target::Address(address, token), path, PATIENCE) {
        Err(error @ ClientError::Connect { .. }) => {
            bail!("no rosn runs with this configuration: {unreachable}; {error}")
        }
        result => Ok(result?),
    }
}
