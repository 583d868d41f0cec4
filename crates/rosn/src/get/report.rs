//! Shows what became of a request: a waterfall for people, JSON for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::recorder::{Phase, Recording};
use crate::output::visible;

/// What became of a request.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The method and the URL that it ended at.
    pub(super) method: String,
    pub(super) url: String,
    pub(super) recording: Recording,
    pub(super) total: Duration,
    /// The head of the response, or why there is none, or why its body broke off.
    pub(super) response: Option<Response>,
    pub(super) error: Option<Failure>,
}

/// The head of a response.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) version: String,
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) headers: Vec<(String, String)>,
}

/// Why a request failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// Such as `connect`.
    pub(super) phase: String,
    pub(super) message: String,
    /// curl's exit code.
    pub(super) code: u8,
}

/// How a waterfall is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) colours: bool,
    /// Columns of the terminal.
    pub(super) width: usize,
}

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// The least that is left for the bars.
const BARS: usize = 20;

impl Outcome {
    /// For people.
    pub(super) fn waterfall(&self, style: Style) -> String {
        let mut out = format!("{} {}\n", self.method, self.url);
        if let Some(connection) = &self.recording.connection {
            let peer = connection.peer.as_deref().unwrap_or("the server");
            let from = connection.local.as_ref().map(|local| format!(" from {local}"));
            let how = match connection.requests_before {
                0 if !connection.reused => "a new connection".to_owned(),
                1 => "a connection used before (1 request)".to_owned(),
                before => format!("a connection used before ({before} requests)"),
            };
            let _ = writeln!(out, "{peer}{}, {how}", from.unwrap_or_default());
        }
        if let Some(response) = &self.response {
            let Response { version, status, reason, .. } = response;
            let line = format!("{version} {status} {reason}");
            let colour = if *status < 400 { GREEN } else { RED };
            let _ = writeln!(out, "{}", style.paint(colour, line.trim_end()));
        }
        out.push('\n');
        self.bars(style, &mut out);
        if let Some(error) = &self.error {
            let text = format!("{} failed: {}", error.phase, error.message);
            let _ = writeln!(out, "\n{}", style.paint(RED, &text));
        }
        out
    }

    fn bars(&self, style: Style, out: &mut String) {
        let phases = &self.recording.phases;
        let label = |phase: &Phase| {
            visible(format!("{} {}", phase.name, phase.about).trim_end()).into_owned()
        };
        let longest = phases.iter().map(|phase| label(phase).chars().count()).max();
        let name = longest.unwrap_or(0).clamp(5, 44);
        // Two spaces, the name, a space, the time, two spaces, a mark at the end.
        let bars = style.width.saturating_sub(name + 16).max(BARS);
        for phase in phases {
            let took = phase.took(self.total);
            let (before, length) = place(phase, took, self.total, bars);
            let bar = format!("{}{}", " ".repeat(before), "=".repeat(length));
            let colour = if phase.failed { RED } else { GREEN };
            let mark = if phase.end.is_none() { ">" } else { "" };
            let shown = shortened(&label(phase), name);
            let bar = style.paint(colour, &format!("{bar}{mark}"));
            let _ = writeln!(out, "  {shown:<name$} {:>10}  {bar}", millis(took));
            if !phase.note.is_empty() {
                let note = style.paint(DIM, &phase.note);
                let _ = writeln!(out, "  {:<name$} {:>10}  {note}", "", "");
            }
        }
        let _ = writeln!(out, "  {:<name$} {:>10}", "total", millis(self.total));
    }

    /// For programs: a line of JSON. Times are milliseconds since the request began.
    pub(super) fn json(&self) -> Value {
        let phases = self.recording.phases.iter().map(|phase| {
            json!({
                "phase": phase.name,
                "about": phase.about,
                "start_ms": number(phase.start),
                "took_ms": phase.end.map(|end| number(end.saturating_sub(phase.start))),
                "note": phase.note,
                "failed": phase.failed,
            })
        });
        let connection = self.recording.connection.as_ref().map(|connection| {
            json!({
                "local": connection.local,
                "peer": connection.peer,
                "reused": connection.reused,
                "requests_before": connection.requests_before,
            })
        });
        let response = self.response.as_ref().map(|response| {
            json!({
                "version": response.version,
                "status": response.status,
                "reason": response.reason,
                "headers": response.headers,
                "body_bytes": self.recording.bytes,
            })
        });
        let error = self.error.as_ref().map(|error| {
            json!({ "phase": error.phase, "message": error.message, "exit_code": error.code })
        });
        json!({
            "method": self.method,
            "url": self.url,
            "attempts": self.recording.attempts,
            "connection": connection,
            "response": response,
            "phases": phases.collect::<Vec<_>>(),
            "total_ms": number(self.total),
            "error": error,
        })
    }
}

impl Style {
    fn paint(self, colour: &str, text: &str) -> String {
        let text = visible(text);
        if self.colours { format!("{colour}{text}{PLAIN}") } else { text.into_owned() }
    }
}

/// JSON as a line. The control characters that JSON need not escape are escaped: terminals heed them.
pub(super) fn line(json: &Value) -> String {
    let mut out = String::new();
    for char in json.to_string().chars() {
        match char {
            '\u{7f}'..='\u{9f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            _ => out.push(char),
        }
    }
    out.push('\n');
    out
}

/// Where the bar of a phase begins, and how long it is: at least 1, within `bars`.
fn place(phase: &Phase, took: Duration, total: Duration, bars: usize) -> (usize, usize) {
    let scale = |time: Duration| {
        let share = time.as_secs_f64() / total.as_secs_f64().max(1e-9);
        (share.clamp(0.0, 1.0) * bars as f64).round() as usize
    };
    let before = scale(phase.start).min(bars - 1);
    (before, scale(took).clamp(1, bars - before))
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let begin: String = text.chars().take(width.saturating_sub(2)).collect();
    format!("{begin}..")
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// Milliseconds with three places.
fn number(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(name: &'static str, start: u64, end: Option<u64>) -> Phase {
        Phase {
            name,
            about: String::new(),
            start: Duration::from_millis(start),
            end: end.map(Duration::from_millis),
            note: String::new(),
            failed: false,
        }
    }

    #[test]
    fn bars_stay_within_their_room() {
        let total = Duration::from_millis(100);
        for (start, end) in [(0, 100), (0, 0), (100, 100), (99, 200), (50, 75), (250, 300)] {
            let phase = phase("wait", start, Some(end));
            let (before, length) = place(&phase, phase.took(total), total, 40);
            assert!(length >= 1 && before + length <= 40, "{start} {end}: {before} {length}");
        }
        assert_eq!(place(&phase("a", 0, Some(0)), Duration::ZERO, Duration::ZERO, 20), (0, 1));
    }

    #[test]
    fn a_phase_that_never_ended_lasts_until_the_end() {
        let recording = Recording {
            phases: vec![phase("dns", 0, Some(10)), phase("connect", 10, None)],
            ..Recording::default()
        };
        let outcome = Outcome {
            method: "GET".to_owned(),
            url: "http://a/".to_owned(),
            recording,
            total: Duration::from_millis(40),
            response: None,
            error: Some(Failure {
                phase: "connect".to_owned(),
                message: "too slow".to_owned(),
                code: 28,
            }),
        };
        let shown = outcome.waterfall(Style { colours: false, width: 63 });
        let expected = "\
GET http://a/

  dns       10.00 ms  ==========
  connect   30.00 ms            ==============================>
  total     40.00 ms

connect failed: too slow
";
        assert_eq!(shown, expected);
        let json = outcome.json();
        assert_eq!(json["phases"][1]["took_ms"], Value::Null);
        assert_eq!(json["error"]["exit_code"], 28);
    }
}
