//! curl's exit codes.

use rosn_http::{Error, Phase};

use super::report::{Failure, Outcome};

/// The URL is wrong.
pub(super) const URL: u8 = 3;
/// The settings of TLS cannot be used.
pub(super) const TLS: u8 = 35;
/// The file of authorities cannot be read.
pub(super) const AUTHORITIES: u8 = 77;

impl Outcome {
    /// The code of the whole; with `fail` a status of 400 or more has one, too.
    pub(super) fn code(&self, fail: bool) -> u8 {
        match (&self.error, &self.response) {
            (Some(error), _) => error.code,
            (None, Some(response)) if fail && response.status >= 400 => 22,
            _ => 0,
        }
    }
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        let phase = name(error.phase()).to_owned();
        Self { phase, message: error.to_string(), code: code(error) }
    }
}

/// As the phases of the waterfall are called.
fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Request => "request",
        Phase::Pool => "queue",
        Phase::Dns => "dns",
        Phase::Connect => "connect",
        Phase::Proxy => "proxy",
        Phase::Tls => "tls",
        Phase::Write => "send",
        Phase::Wait => "wait",
        Phase::Head | Phase::Body => "receive",
        Phase::Redirect => "redirect",
        _ => "upgrade",
    }
}

fn code(error: &Error) -> u8 {
    match error.phase() {
        _ if error.is_timeout() => 28,
        Phase::Request => URL,
        Phase::Redirect => 47,
        Phase::Dns => 6,
        Phase::Proxy => 97,
        Phase::Tls if is_untrusted(error) => 60,
        Phase::Tls => TLS,
        Phase::Pool | Phase::Connect => 7,
        Phase::Write => 55,
        _ if error.is_closed_early() => 52,
        _ if error.is_parse() => 8,
        _ => 56,
    }
}

/// Whether the handshake failed because of the server's certificate.
fn is_untrusted(error: &Error) -> bool {
    let first: &dyn std::error::Error = error;
    std::iter::successors(Some(first), |error| error.source())
        .any(|cause| cause.to_string().to_ascii_lowercase().contains("certificate"))
}
