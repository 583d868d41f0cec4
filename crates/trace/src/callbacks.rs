//! A trace made of closures.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use rosn_base::Addr;

use crate::{
    BoxError, ClientTrace, ConnId, DialId, ErrorRef, Event, GotConnInfo, Interest, NotReused,
    TlsInfo,
};

type Callback = Box<dyn Fn(Instant, &Event<'_>) + Send + Sync>;
type Veto = Box<dyn Fn(StatusCode, &HeaderMap) -> Result<(), BoxError> + Send + Sync>;

/// Calls closures, in the order in which they were added: one for each kind of event, as Go's `httptrace.ClientTrace`
/// has, or any with [`Callbacks::on`]. Each gets what its event holds.
///
/// ```
/// use rosn_trace::Callbacks;
///
/// let trace = Callbacks::new()
///     .on_dns_start(|_dial, host| println!("looking for {host}"))
///     .on_connect_done(|_dial, _try_no, addr, result, _lost_race| {
///         println!("{addr}: {}", if result.is_ok() { "connected" } else { "failed" });
///     })
///     .on_got_conn(|conn| println!("a connection, reused: {}", conn.reused))
///     .on_informational(|status, _headers| {
///         if status == 103 { Err("no hints wanted".into()) } else { Ok(()) }
///     });
/// # let _ = trace;
/// ```
#[derive(Default)]
pub struct Callbacks {
    events: Vec<(Interest, Callback)>,
    vetoes: Vec<Veto>,
}

impl Callbacks {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `callback` with each event of these kinds; see [`ClientTrace::event`].
    #[must_use]
    pub fn on(
        mut self,
        kinds: Interest,
        callback: impl Fn(Instant, &Event<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.events.push((kinds, Box::new(callback)));
        self
    }

    /// Calls `callback` with each interim response. Its error ends the request; see [`ClientTrace::informational`].
    #[must_use]
    pub fn on_informational(
        mut self,
        callback: impl Fn(StatusCode, &HeaderMap) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.vetoes.push(Box::new(callback));
        self
    }

    /// Calls `callback` at [`Event::GotConn`].
    #[must_use]
    pub fn on_got_conn(self, callback: impl Fn(&GotConnInfo<'_>) + Send + Sync + 'static) -> Self {
        self.on(Interest::POOL, move |_, event| {
            if let Event::GotConn(info) = *event {
                callback(info);
            }
        })
    }
}

/// `name: kind, Variant { field: type of it, … }`
macro_rules! callbacks {
    ($($name:ident: $kind:ident, $variant:ident { $($field:ident: $type:ty),* };)*) => {
        impl Callbacks {$(
            #[doc = concat!(
                "Calls `callback(", stringify!($($field),*), ")` at [`Event::", stringify!($variant), "`]."
            )]
            #[must_use]
            pub fn $name(self, callback: impl Fn($($type),*) + Send + Sync + 'static) -> Self {
                self.on(Interest::$kind, move |_, event| {
                    if let Event::$variant { $($field),* } = *event {
                        callback($($field),*);
                    }
                })
            }
        )*}
    };
}

callbacks! {
    on_dns_start: DNS, DnsStart { dial: DialId, host: &str };
    on_dns_done: DNS, DnsDone {
        dial: DialId,
        host: &str,
        addrs: &[IpAddr],
        coalesced: bool,
        error: Option<ErrorRef<'_>>
    };
    on_connect_start: CONNECT, ConnectStart { dial: DialId, try_no: u32, addr: &Addr };
    on_connect_done: CONNECT, ConnectDone {
        dial: DialId,
        try_no: u32,
        addr: &Addr,
        result: Result<(), ErrorRef<'_>>,
        lost_race: bool
    };
    on_proxy_handshake_start: PROXY, ProxyHandshakeStart { dial: DialId, proxy: &Addr };
    on_proxy_handshake_done: PROXY, ProxyHandshakeDone {
        dial: DialId,
        proxy: &Addr,
        status: Option<u16>,
        error: Option<ErrorRef<'_>>
    };
    on_tls_start: TLS, TlsStart { dial: DialId, server_name: &str };
    on_tls_done: TLS, TlsDone {
        dial: DialId,
        server_name: &str,
        result: Result<&TlsInfo<'_>, ErrorRef<'_>>
    };
    on_handshake_start: HANDSHAKE, HandshakeStart { dial: DialId, transport: &str, phase: &str };
    on_handshake_done: HANDSHAKE, HandshakeDone {
        dial: DialId,
        transport: &str,
        phase: &str,
        error: Option<ErrorRef<'_>>
    };
    on_get_conn: POOL, GetConn { authority: &str, attempt: u32 };
    on_pool_wait: POOL, PoolWait { authority: &str, queued: usize };
    on_get_conn_failed: POOL, GetConnFailed { authority: &str, error: ErrorRef<'_> };
    on_put_idle: POOL, PutIdle { conn: ConnId, result: Result<(), NotReused> };
    on_wrote_header_field: FIELDS, WroteHeaderField { name: &str, value: &HeaderValue };
    on_wrote_headers: WRITE, WroteHeaders {};
    on_wait_100: WRITE, Wait100 {};
    on_got_100: WRITE, Got100 {};
    on_wrote_request: WRITE, WroteRequest {
        bytes: u64,
        body_sent: bool,
        result: Result<(), ErrorRef<'_>>
    };
    on_first_response_byte: READ, FirstResponseByte {};
    on_response_head: READ, ResponseHead { status: StatusCode };
    on_response_body_done: READ, ResponseBodyDone {
        bytes: u64,
        result: Result<(), ErrorRef<'_>>
    };
    on_upgraded: READ, Upgraded { conn: ConnId };
    on_retry: RETRY, Retry { attempt: u32, cause: ErrorRef<'_> };
    on_redirect: RETRY, Redirect { status: StatusCode, uri: &Uri, redirects: u32 };
    on_failed: RETRY, Failed { error: ErrorRef<'_> };
}

impl ClientTrace for Callbacks {
    fn interest(&self) -> Interest {
        let vetoes = if self.vetoes.is_empty() { Interest::NONE } else { Interest::INFORMATIONAL };
        self.events.iter().fold(vetoes, |all, (kinds, _)| all | *kinds)
    }

    fn event(&self, at: Instant, event: &Event<'_>) {
        for (kinds, callback) in &self.events {
            if kinds.intersects(event.kind()) {
                callback(at, event);
            }
        }
    }

    /// All are asked; the first error counts.
    fn informational(&self, status: StatusCode, headers: &HeaderMap) -> Result<(), BoxError> {
        let mut answer = Ok(());
        for veto in &self.vetoes {
            answer = answer.and(veto(status, headers));
        }
        answer
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Callbacks({})", self.events.len() + self.vetoes.len())
    }
}

#[cfg(test)]
mod tests;
