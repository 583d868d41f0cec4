//! A trace that opens spans of the crate `tracing`.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::field::{Empty, display};
use tracing::{Span, info_span};

use crate::{ClientTrace, DialId, ErrorRef, Event};

/// Opens a span for each phase: `dns`, `connect`, `proxy`, `tls`, `handshake`; `send`, `wait` (to the response's head)
/// and `recv` (the body), at the level info. They are children of the span that was current when the trace was made,
/// on whichever thread the phase runs.
///
/// A span is closed at the end of its phase, with its `error` where it failed. A late end closes its own span, or none.
/// At most 32 are open at a time; what is more is left out. The parent is kept until the trace is dropped.
///
/// For each event it takes a lock, to look through that short list; the subscriber is called without it.
pub struct TracingTrace {
    parent: Span,
    open: Mutex<Vec<(Key, Span)>>,
}

/// How many spans may be open.
const OPEN: usize = 32;

#[derive(Clone, Copy, PartialEq)]
enum Key {
    Dns(DialId),
    Connect(DialId, u32),
    Proxy(DialId),
    Tls(DialId),
    Handshake(DialId),
    Send,
    Wait,
    Recv,
}

/// Opens a span below the parent, if there is room.
macro_rules! open {
    ($self:ident, $key:expr, $name:literal, $($fields:tt)*) => {
        if $self.has_room() {
            let span = info_span!(parent: &$self.parent, $name, $($fields)* error = Empty);
            $self.opened($key, span);
        }
    };
}

impl TracingTrace {
    /// A trace below the current span.
    pub fn new() -> Self {
        Self::below(Span::current())
    }

    /// A trace below this span.
    pub fn below(parent: Span) -> Self {
        Self { parent, open: Mutex::default() }
    }

    fn has_room(&self) -> bool {
        self.with_open(|open| open.len() < OPEN)
    }

    fn is_open(&self, key: Key) -> bool {
        self.with_open(|open| open.iter().any(|(other, _)| *other == key))
    }

    fn opened(&self, key: Key, span: Span) {
        if !span.is_disabled() {
            self.with_open(|open| open.push((key, span)));
        }
    }

    /// Closes a span. Returns whether there was one.
    fn end(&self, key: Key, error: Option<ErrorRef<'_>>) -> bool {
        let span = self.with_open(|open| {
            let index = open.iter().position(|(other, _)| *other == key)?;
            Some(open.swap_remove(index).1)
        });
        let Some(span) = span else { return false };
        if let Some(error) = error {
            span.record("error", display(error));
        }
        true
    }

    /// Nothing more comes of the exchange that is under way.
    fn end_exchange(&self, error: Option<ErrorRef<'_>>) {
        for key in [Key::Send, Key::Wait, Key::Recv] {
            self.end(key, error);
        }
    }

    fn with_open<T>(&self, work: impl FnOnce(&mut Vec<(Key, Span)>) -> T) -> T {
        work(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn dial(&self, event: &Event<'_>) {
        match *event {
            Event::DnsStart { dial, host } => open!(self, Key::Dns(dial), "dns", host,),
            Event::ConnectStart { dial, try_no, addr } => {
                open!(self, Key::Connect(dial, try_no), "connect", %addr,);
            }
            Event::ProxyHandshakeStart { dial, proxy } => {
                open!(self, Key::Proxy(dial), "proxy", addr = %proxy,);
            }
            Event::TlsStart { dial, server_name } => {
                open!(self, Key::Tls(dial), "tls", server_name,);
            }
            Event::HandshakeStart { dial, transport, phase } => {
                open!(self, Key::Handshake(dial), "handshake", transport, phase,);
            }
            _ => {}
        }
    }

    fn dialed(&self, event: &Event<'_>) {
        let (key, error) = match *event {
            Event::DnsDone { dial, error, .. } => (Key::Dns(dial), error),
            Event::ConnectDone { dial, try_no, result, .. } => {
                (Key::Connect(dial, try_no), result.err())
            }
            Event::ProxyHandshakeDone { dial, error, .. } => (Key::Proxy(dial), error),
            Event::TlsDone { dial, result, .. } => (Key::Tls(dial), result.err()),
            Event::HandshakeDone { dial, error, .. } => (Key::Handshake(dial), error),
            _ => return,
        };
        self.end(key, error);
    }

    fn exchange(&self, event: &Event<'_>) {
        match *event {
            Event::GotConn(_) => open!(self, Key::Send, "send",),
            Event::WroteRequest { result, .. } => {
                let sent = self.end(Key::Send, result.err());
                // Not where the answer has come already, or nobody waits for one.
                if sent && !self.is_open(Key::Recv) {
                    open!(self, Key::Wait, "wait",);
                }
            }
            Event::ResponseHead { status } => {
                self.end(Key::Wait, None);
                open!(self, Key::Recv, "recv", status = status.as_u16(),);
            }
            Event::ResponseBodyDone { result, .. } => self.end_exchange(result.err()),
            Event::Retry { cause: error, .. } | Event::Failed { error } => {
                self.end_exchange(Some(error));
            }
            Event::Upgraded { .. } => self.end_exchange(None),
            _ => {}
        }
    }
}

impl ClientTrace for TracingTrace {
    fn event(&self, _: Instant, event: &Event<'_>) {
        self.dial(event);
        self.dialed(event);
        self.exchange(event);
    }
}

impl Default for TracingTrace {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TracingTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracingTrace").field("parent", &self.parent).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
