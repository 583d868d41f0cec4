//! curl's exit codes.

use std::error::Error as _;

use rosn_http::connect::ProxyError;
use rosn_http::{Error, Phase};

use super::report::{Failure, Outcome};

/// The URL is wrong.
pub(super) const URL: u8 = 3;
/// The body cannot be written.
pub(super) const OUTPUT: u8 = 23;
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
    pub(super) fn of_output(error: &std::io::Error) -> Self {
        let message = format!("cannot write the body to standard output: {error}");
        Self { phase: "output".to_owned(), message, code: OUTPUT }
    }

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
        Phase::Redirect if error.is_too_large() => 47,
        Phase::Redirect => URL,
        Phase::Dns => 6,
        Phase::Proxy => code_of_proxy(error),
        Phase::Tls if is_untrusted(error) => 60,
        Phase::Tls => TLS,
        Phase::Pool | Phase::Connect => 7,
        Phase::Write => 55,
        Phase::Body if error.is_truncated() => 18,
        Phase::Body => 56,
        _ if error.is_closed_early() => 52,
        _ if error.is_parse() => 8,
        _ => 56,
    }
}

fn code_of_proxy(error: &Error) -> u8 {
    use ProxyError::{Dial, Fields, NotSocks, Socks, Tls};
    let cause = error.source().and_then(<dyn std::error::Error>::downcast_ref::<ProxyError>);
    match cause {
        Some(cause @ Dial(_)) if cause.is_dns() => 5,
        Some(Dial(_)) => 7,
        Some(Tls(_)) if is_untrusted(error) => 60,
        Some(Tls(_)) => TLS,
        Some(Socks(_) | NotSocks(_) | Fields(_)) | None => 97,
        // What a proxy answers to CONNECT.
        Some(_) => 56,
    }
}

/// Whether the handshake failed because of the server's certificate.
fn is_untrusted(error: &Error) -> bool {
    let first: &dyn std::error::Error = error;
    std::iter::successors(Some(first), |error| (*error).source())
        .any(|cause| cause.downcast_ref().is_some_and(rosn_tls::is_untrusted))
}
