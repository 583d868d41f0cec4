//! YAML 1.2 into the same tree as JSON.

mod build;

#[cfg(test)]
mod tests;

use saphyr_parser::{Event, Parser, ScanError};

use super::{Parsed, Span};
use crate::diagnostic::Fault;
use build::{Builder, Stop};

/// Parses a whole file.
pub(super) fn parse(source: u32, text: &str) -> Parsed {
    let mut builder = Builder::new(source, text);
    let outcome = run(&mut builder, text);
    if let Err(stop) = outcome {
        let fault = match stop {
            Stop::Fault(fault) => *fault,
            Stop::Syntax(error) => syntax_fault(&mut builder, &error),
        };
        builder.faults.push(fault);
        builder.root = None;
    }
    let reliable = builder.root.is_some();
    if builder.faults.is_empty() && !reliable {
        let fault = Fault::error(Span::new(source, 0, 0), "empty-file", "the file is empty");
        builder
            .faults
            .push(fault.help("a configuration is a mapping with the key `servers`").whole_file());
    }
    Parsed { root: builder.root, faults: builder.faults, secrets: builder.secrets, reliable }
}

fn run(builder: &mut Builder<'_>, text: &str) -> Result<(), Stop> {
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(Stop::Syntax)?;
        if event == Event::StreamEnd {
            break;
        }
        builder.event(event, span)?;
    }
    Ok(())
}

fn syntax_fault(builder: &mut Builder<'_>, error: &ScanError) -> Fault {
    let at = builder.offset(error.marker().index());
    let fault = Fault::error(builder.span(at, at + 1), "yaml-syntax", error.info().to_owned());
    if builder.text[..at]
        .lines()
        .last()
        .is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'))
    {
        return fault.help("indent with spaces, not with tabs");
    }
    fault
}
