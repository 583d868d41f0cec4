//! `rosn get`: a request, and where its time goes.

mod codes;
mod plan;
mod recorder;
mod report;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use rosn_http::Body;
use rosn_trace::{RequestContext, RequestTraceExt as _};

use crate::Exit;
use crate::cli::GetArgs;
use crate::output;
use plan::Plan;
use recorder::Recorder;
use report::{Failure, Outcome, Style};

pub(crate) fn run(args: &GetArgs) -> Exit {
    let plan = match Plan::of(args) {
        Ok(plan) => plan,
        Err(fault) => {
            output::complain(&output::visible(&format!("error: {}", fault.in_words())));
            return Exit::Curl(fault.code);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("error: the runtime does not start: {error}"));
            return Exit::Start;
        }
    };
    runtime.block_on(repeat(args, &plan))
}

async fn repeat(args: &GetArgs, plan: &Plan) -> Exit {
    let mut code = 0;
    for time in 0..args.repeat.get() {
        let outcome = one(args, plan).await;
        show(args, &outcome, time);
        if code == 0 {
            code = outcome.code(args.fail);
        }
    }
    if code == 0 { Exit::Ok } else { Exit::Curl(code) }
}

/// Sends the request once, and reads its response to the end.
async fn one(args: &GetArgs, plan: &Plan) -> Outcome {
    let recorder = Arc::new(Recorder::new());
    let mut request = plan.request();
    request.with_trace(Arc::clone(&recorder));
    let timeout = Duration::from_secs_f64(args.timeout);
    request.set_context(RequestContext::background().with_timeout(timeout));
    let mut outcome = Outcome {
        method: request.method().to_string(),
        url: plan.uri().to_string(),
        ..Outcome::default()
    };
    match plan.client.request(request).await {
        Ok(response) => receive(args, response, &mut outcome).await,
        Err(error) => outcome.error = Some(Failure::of(&error)),
    }
    (outcome.recording, outcome.total) = recorder.finish();
    outcome
}

/// Takes the head, and the body to its end.
async fn receive(args: &GetArgs, response: Response<Body>, outcome: &mut Outcome) {
    let (head, mut body) = response.into_parts();
    outcome.response = Some(report::Response {
        version: format!("{:?}", head.version),
        status: head.status.as_u16(),
        reason: head.status.canonical_reason().unwrap_or_default().to_owned(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect(),
    });
    while let Some(frame) = body.next().await {
        match frame {
            Ok(frame) => {
                let Some(data) = frame.data_ref().filter(|_| args.body) else { continue };
                // What nobody reads (`| head`) is not fetched either.
                if let Err(error) = io::stdout().lock().write_all(data) {
                    outcome.error = Some(Failure::of_output(&error));
                    return;
                }
            }
            Err(error) => {
                outcome.error = Some(Failure::of(&error));
                return;
            }
        }
    }
}

/// Prints what became of a request: to standard error where the body went to standard output.
fn show(args: &GetArgs, outcome: &Outcome, time: usize) {
    let text = if args.json {
        report::line(&outcome.json())
    } else {
        let colours = match args.body {
            true => output::colours(&io::stderr()),
            false => output::colours(&io::stdout()),
        };
        let before = if time > 0 { "\n" } else { "" };
        format!("{before}{}", outcome.waterfall(Style { colours, width: width() }))
    };
    if args.body {
        // The body may not end with a line end.
        let gap = if io::stdout().is_terminal() { "\n" } else { "" };
        output::complain(&format!("{gap}{text}"));
    } else {
        output::print(&text);
    }
}

/// Columns of the terminal; 100 where there is none.
fn width() -> usize {
    const NONE: usize = 100;
    let columns = rustix::termios::tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_col));
    columns.ok().filter(|columns| *columns > 0).unwrap_or(NONE).min(160)
}
