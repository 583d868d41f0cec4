//! Connections that stop being HTTP: after 101 (Switching Protocols), RFC 9110 section 7.8, or a 2xx to CONNECT,
//! section 9.3.6.
//!
//! Nothing is switched before the upstream has said so: what a client sends behind its request waits, in the buffer of
//! the request and, when that is full, in the kernel. It is passed on after the switch; where there is none, the
//! connection is closed behind the response. It is never read as further requests, since who wrote it may have been
//! allowed to choose the bytes of the other protocol and no requests.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Timer;
use rosn_cluster::Permit;
use rosn_config::checked::{ConnectUpstream, TunnelRules};
use rosn_h1::{Field, Method, Name, RequestHead, ResponseHead};
use rosn_net::{Side, Stream, Tunnel, TunnelReason};
use tracing::debug;

use super::failure::{Failure, Flags};
use super::forward::request_ended;
use super::record::Record;
use super::{Slot, exchange};
use crate::client::ClientInfo;
use crate::context::Worker;
use crate::details;
use crate::snapshot::Listener;
use crate::tunnel::{self, Bounds};
use crate::upstream::{self, NEVER, nanos};

/// What a request asks its connection to become, as far as that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Switch {
    /// Nothing else.
    None,
    /// One of these protocols, as they are offered to the upstream.
    Upgrade(Vec<u8>),
    /// A tunnel that the upstream makes.
    Connect,
    /// A tunnel that rosn makes, to this port.
    ConnectHere,
}

/// Why a client does not get what it asks its connection to become: 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// None of the protocols in `Upgrade` is allowed.
    Upgrade,
    /// The port that CONNECT asks for is not.
    Port,
}

impl Refusal {
    /// The token of `response_code_details`.
    pub(super) fn details(self) -> &'static str {
        match self {
            Self::Upgrade => details::UPGRADE_NOT_ALLOWED,
            Self::Port => details::CONNECT_PORT_NOT_ALLOWED,
        }
    }

    /// What the client is told.
    pub(super) fn public(self) -> &'static [u8] {
        match self {
            Self::Upgrade => b"Upgrade to this protocol is not allowed here\n",
            Self::Port => b"CONNECT to this port is not allowed here\n",
        }
    }
}

/// Whether the client may go on in another protocol behind this request.
pub(super) fn is_asked(head: &RequestHead, bytes: &[u8]) -> bool {
    head.method() == Method::Connect
        || head.upgrade() && protocols(head.fields(), bytes).any(|protocol| !is_h2c(protocol))
}

/// The protocols in `Upgrade`, in order.
fn protocols<'a>(fields: &'a [Field], bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let values = fields.iter().filter(|field| field.id == Name::Upgrade);
    values.flat_map(|field| rosn_h1::list(field.value.of(bytes)))
}

/// A client that offers this must live with HTTP/1.1, and does.
fn is_h2c(protocol: &[u8]) -> bool {
    protocol.eq_ignore_ascii_case(b"h2c")
}

/// RFC 9110 section 7.8: a token, and a version behind a slash.
fn is_protocol(text: &[u8]) -> bool {
    text.iter().all(|&byte| rosn_h1::is_token(byte) || byte == b'/')
}

impl Switch {
    /// What the route lets the request ask for.
    ///
    /// # Errors
    /// Why the client is refused.
    pub(super) fn of(
        head: &RequestHead,
        bytes: &[u8],
        rules: &TunnelRules,
        default: &TunnelRules,
    ) -> Result<Self, Refusal> {
        if head.method() == Method::Connect {
            let connect = rules.connect(default).ok_or(Refusal::Port)?;
            if !port(head.authority(bytes)).is_some_and(|port| connect.allows(port)) {
                return Err(Refusal::Port);
            }
            return Ok(match connect.upstream {
                ConnectUpstream::Tcp => Self::ConnectHere,
                ConnectUpstream::Http => Self::Connect,
            });
        }
        if !is_asked(head, bytes) {
            return Ok(Self::None);
        }
        let mut offer = Vec::new();
        for protocol in protocols(head.fields(), bytes) {
            if is_h2c(protocol)
                || !is_protocol(protocol)
                || !rules.allows_upgrade(default, protocol)
            {
                continue;
            }
            if !offer.is_empty() {
                offer.extend_from_slice(b", ");
            }
            offer.extend_from_slice(protocol);
        }
        if offer.is_empty() {
            return Err(Refusal::Upgrade);
        }
        Ok(Self::Upgrade(offer))
    }

    /// Appends the fields with which the upstream is asked.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        if let Self::Upgrade(offer) = self {
            upgrade_fields(std::iter::once(&**offer), out);
        }
    }

    /// Whether a response of this status makes the connection another one.
    pub(super) fn is_made_by(&self, status: u16) -> bool {
        match self {
            Self::None | Self::ConnectHere => false,
            Self::Upgrade(_) => status == 101,
            Self::Connect => (200..300).contains(&status),
        }
    }

    /// The same of a whole response.
    ///
    /// # Errors
    /// A 101 that was not asked for, or to something else than what was offered.
    pub(super) fn is_made(&self, response: &ResponseHead, bytes: &[u8]) -> Result<bool, Failure> {
        if response.status() != 101 {
            return Ok(self.is_made_by(response.status()));
        }
        let Self::Upgrade(offer) = self else {
            return Err(Failure::Unexpected("the upstream switched protocols unasked"));
        };
        let offered =
            |protocol: &[u8]| rosn_h1::list(offer).any(|one| one.eq_ignore_ascii_case(protocol));
        let mut chosen = protocols(response.fields(), bytes).peekable();
        if chosen.peek().is_none() || !chosen.all(offered) {
            let what = "the upstream switched to a protocol that was not offered";
            return Err(Failure::Unexpected(what));
        }
        Ok(true)
    }
}

/// Appends the fields that tell the client what its connection has become (101), or would have to (426, RFC 9110
/// section 15.5.22); nothing for other responses.
pub(super) fn encode_upgrade(response: &ResponseHead, bytes: &[u8], out: &mut Vec<u8>) {
    if matches!(response.status(), 101 | 426) {
        upgrade_fields(protocols(response.fields(), bytes), out);
    }
}

fn upgrade_fields<'a>(protocols: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    let mut protocols = protocols.peekable();
    if protocols.peek().is_none() {
        return;
    }
    out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: ");
    for (at, protocol) in protocols.enumerate() {
        out.extend_from_slice(if at > 0 { b", " } else { b"" });
        out.extend_from_slice(protocol);
    }
    out.extend_from_slice(b"\r\n");
}

/// The port of an authority that has one.
fn port(authority: &[u8]) -> Option<u16> {
    let at = memchr::memrchr(b':', authority)?;
    std::str::from_utf8(&authority[at + 1..]).ok()?.parse().ok()
}

/// An exchange whose connection to the upstream is no longer HTTP.
pub(crate) struct Switched {
    pub(super) up: upstream::Connection,
    /// What the upstream sent behind its response.
    pub(super) early: Vec<u8>,
    pub(super) bounds: Bounds,
    /// The request's place among those that the cluster takes.
    pub(super) permit: Option<Permit>,
}

impl Switched {
    pub(super) fn new(
        up: upstream::Connection,
        early: Vec<u8>,
        rules: &TunnelRules,
        default: &TunnelRules,
    ) -> Self {
        let nanos = |bound: Option<Duration>| bound.map_or(NEVER, nanos);
        let idle = nanos(rules.idle_timeout(default));
        let lifetime = nanos(rules.max_lifetime(default));
        Self { up, early, bounds: Bounds { idle, lifetime }, permit: None }
    }
}

/// A connection that stopped being HTTP, on its way to its own task.
pub(crate) struct Opening {
    switched: Switched,
    /// What the client sent behind its request.
    early: Vec<u8>,
    open: Box<Open>,
}

/// An open tunnel in the counts; dropping it takes it out and writes the access log.
struct Open {
    worker: Rc<Worker>,
    listener: Arc<Listener>,
    info: ClientInfo,
    record: Record,
    /// What the access logs may want of the messages.
    kept: Option<Box<Slot>>,
    /// When it began.
    begin: u64,
    /// It is known why it ended.
    has_ended: bool,
    /// Bytes from the client to the upstream, and back.
    moved: (u64, u64),
}

impl Opening {
    /// Takes what is needed out of the exchange, so that its buffers serve others.
    pub(super) fn new(
        switched: Switched,
        worker: &Rc<Worker>,
        info: &ClientInfo,
        listener: &Arc<Listener>,
        slot: &mut Slot,
        len: usize,
        record: Record,
    ) -> Self {
        let early = slot.inbound.unread()[len..].to_vec();
        let kept = (!listener.access_logs.is_empty()).then(|| Box::new(slot.split_off(len)));
        for stats in [&worker.shared.stats, &listener.stats] {
            let stats = stats.shard(worker.index);
            stats.tunnel_total.add(1);
            stats.tunnel_active.add(1);
        }
        let open = Open {
            worker: Rc::clone(worker),
            listener: Arc::clone(listener),
            info: info.clone(),
            record,
            kept,
            begin: worker.clock.now(),
            has_ended: false,
            moved: (0, 0),
        };
        Self { switched, early, open: Box::new(open) }
    }
}

/// Serves the connection until both sides have ended. `_held` is what counts it, until then.
pub(crate) async fn serve<H>(opening: Box<Opening>, client: Stream, timer: Timer, _held: H) {
    let Opening {
        switched: Switched { up, early: answered, bounds, permit: _permit },
        early,
        mut open,
    } = *opening;
    let worker = Rc::clone(&open.worker);
    let Some((stream, held)) = up.into_parts() else { return };
    let mut tunnel = Tunnel::new(client, stream, &early, &answered);
    // What came early was counted when it was read.
    let mut read = (early.len() as u64, answered.len() as u64);
    drop((early, answered));
    let end = tunnel::drive(&worker, &mut tunnel, &held, &timer, bounds, |moved| {
        let fresh = (moved.0.max(read.0) - read.0, moved.1.max(read.1) - read.1);
        let written = (moved.0 - open.moved.0, moved.1 - open.moved.1);
        for stats in [&worker.shared.stats, &open.listener.stats] {
            // Those of a stream are counted below it.
            if !open.record.http2 {
                let stats = stats.shard(worker.index);
                stats.bytes_read_total.add(fresh.0);
                stats.bytes_write_total.add(written.1);
            }
        }
        held.count_bytes(written.0, fresh.1);
        (read, open.moved) = ((moved.0.max(read.0), moved.1.max(read.1)), moved);
    })
    .await;
    open.ended(&end.reason);
}

impl Open {
    fn ended(&mut self, reason: &TunnelReason) {
        self.has_ended = true;
        let (flags, details) = match reason {
            TunnelReason::Eof => (Flags::default(), details::TUNNEL_ENDED),
            TunnelReason::Idle => (Flags::STREAM_IDLE, details::TUNNEL_IDLE_TIMEOUT),
            TunnelReason::Lifetime => (Flags::STREAM_IDLE, details::TUNNEL_MAX_LIFETIME),
            TunnelReason::Shutdown => (Flags::default(), details::TUNNEL_SHUTDOWN),
            TunnelReason::Reset(Side::A) => (Flags::DOWNSTREAM_RESET, details::TUNNEL_CLIENT_RESET),
            TunnelReason::Error(Side::A, _) => {
                (Flags::DOWNSTREAM_RESET, details::TUNNEL_CLIENT_FAILED)
            }
            TunnelReason::Reset(Side::B) => {
                (Flags::UPSTREAM_TERMINATED, details::TUNNEL_UPSTREAM_RESET)
            }
            TunnelReason::Error(Side::B, _) => {
                (Flags::UPSTREAM_TERMINATED, details::TUNNEL_UPSTREAM_FAILED)
            }
        };
        let words = tunnel::in_words(reason);
        debug!(
            listener = %self.listener.config.name, peer = %self.info.peer,
            up = self.moved.0, down = self.moved.1, "a tunnel ended: {words}"
        );
        self.record.flags.insert(flags);
        self.record.details = details;
        if matches!(reason, TunnelReason::Reset(Side::B) | TunnelReason::Error(Side::B, _)) {
            self.record.failure = Some(words.into_owned());
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.has_ended {
            self.ended(&TunnelReason::Shutdown);
        }
        let worker = &self.worker;
        let record = &mut self.record;
        record.end = worker.clock.refresh();
        record.bytes_received += self.moved.0;
        record.bytes_sent += self.moved.1;
        for stats in [&worker.shared.stats, &self.listener.stats] {
            let stats = stats.shard(worker.index);
            stats.request_active.add(-1);
            stats.count_status(record.status);
            stats.tunnel_active.add(-1);
            stats.tunnel_bytes_read_total.add(self.moved.0);
            stats.tunnel_bytes_write_total.add(self.moved.1);
            stats.tunnel_time_total.add(record.end.saturating_sub(self.begin));
        }
        if let (Some(upstream), Some(endpoint)) = (&record.upstream, &record.endpoint) {
            request_ended(upstream, endpoint);
        }
        if let Some(slot) = &self.kept {
            let len = slot.inbound.len();
            exchange::log(worker, &self.info, slot, len, record, &self.listener);
        }
    }
}

#[cfg(test)]
mod tests;
