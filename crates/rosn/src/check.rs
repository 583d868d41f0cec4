//! `rosn check`.

use std::io;

use rosn_config::{Diagnostics, Severity};
use serde_json::json;

use crate::Exit;
use crate::cli::{CheckArgs, ReportFormat};
use crate::output;
use crate::source::Source;

pub(crate) fn run(args: &CheckArgs) -> Exit {
    let source = match Source::find(&args.config) {
        Ok(source) => source,
        Err(error) => {
            match args.format {
                ReportFormat::Text => output::complain(&format!("error: {error:#}")),
                ReportFormat::Json => output::print_json(&json!({"error": format!("{error:#}")})),
            }
            return Exit::Usage;
        }
    };
    let found = source.load(args.strict).diagnostics;
    match args.format {
        ReportFormat::Json => output::print_json(&found.to_json()),
        ReportFormat::Text => {
            output::print(&report(&found, output::colours(&io::stdout())));
            if let Some(hint) = source.hint() {
                output::complain(&hint);
            }
        }
    }
    if found.has_errors() { Exit::Usage } else { Exit::Ok }
}

/// Every finding, and a line that counts them, also where there is none.
pub(crate) fn report(found: &Diagnostics, colour: bool) -> String {
    let mut text = String::new();
    for finding in found {
        text.push_str(&finding.render_text(colour));
        text.push('\n');
    }
    text.push_str(&summary(found));
    text
}

fn summary(found: &Diagnostics) -> String {
    let all =
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Notice, "notice")];
    let counts = all.map(|(severity, name)| {
        let count = found.count(severity);
        format!("{count} {name}{}", if count == 1 { "" } else { "s" })
    });
    let total: usize = all.iter().map(|(severity, _)| found.count(*severity)).sum();
    match total - found.iter().count() {
        0 => format!("{}\n", counts.join(", ")),
        hidden => format!("{} ({hidden} of them not shown)\n", counts.join(", ")),
    }
}
