//! A connection that many requests share, and a request's place in it.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};

use h2::client::SendRequest;
use rosn_cluster::Endpoint;
use rosn_net::{Meter, PeerAddr};

use super::pool::Pool;
use crate::context::Worker;
use crate::h2::{Data, Lender, Turn};
use crate::upstream::{Counted, Phases};

/// Bytes that a connection may read before other tasks have their turn.
const TURN: usize = 64 << 10;

/// An open HTTP/2 connection to an endpoint. Its task drives it; all else is here.
pub(super) struct Connection {
    worker: Rc<Worker>,
    pool: Weak<Pool>,
    endpoint: Arc<Endpoint>,
    /// Which connection it is, for the access log.
    id: u64,
    local: Option<Rc<PeerAddr>>,
    /// It is encrypted.
    is_secure: bool,
    /// Its place in the counts.
    counted: RefCell<Option<Counted>>,
    /// `None` = it takes no more streams, and ends with the last that it has.
    sender: RefCell<Option<SendRequest<Data>>>,
    /// Why it was given up, where that was this end's doing.
    verdict: Cell<Option<&'static str>>,
    /// Places that are taken.
    streams: Cell<usize>,
    /// Streams that it ever had.
    requests: Cell<u32>,
    /// Streams that ended.
    ended: Cell<u32>,
    /// Bytes that were written to it.
    written: Cell<u64>,
    /// Streams that the endpoint allows at a time; `None` = it has not said so yet.
    allowed: Cell<Option<usize>>,
    /// Whether it takes CONNECT with a `:protocol`.
    extended: Cell<bool>,
    /// When it last had a stream, and when something last came, in nanoseconds of the worker's clock.
    idle_since: Cell<u64>,
    heard: Cell<u64>,
    turn: Turn,
    lender: Rc<Lender>,
    /// How long it took to make it; the first request takes that.
    opening: Cell<Option<Phases>>,
    limits: Limits,
}

/// What a connection may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Streams at a time.
    pub(super) streams: usize,
    /// Streams in all.
    pub(super) requests: u32,
}

/// What is known of a connection when it has been opened.
pub(super) struct Opened {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) id: u64,
    pub(super) local: Option<Rc<PeerAddr>>,
    pub(super) is_secure: bool,
    pub(super) counted: Counted,
    pub(super) phases: Phases,
    pub(super) lender: Rc<Lender>,
}

/// What is below a connection knows it by; empty until it is open.
#[derive(Default)]
pub(super) struct Below(OnceCell<Rc<Connection>>);

impl Below {
    /// The connection is open.
    pub(super) fn set(&self, connection: &Rc<Connection>) {
        // It is opened once.
        let _ = self.0.set(Rc::clone(connection));
    }
}

impl Meter for Below {
    fn has_turn(&self) -> bool {
        self.0.get().is_none_or(|connection| connection.turn.has_more())
    }

    fn read(&self, count: usize) {
        if let Some(connection) = self.0.get() {
            connection.count_bytes(0, count);
            connection.heard.set(connection.worker.clock.refresh());
            connection.turn.take(count);
        }
    }

    fn wrote(&self, count: usize) {
        if let Some(connection) = self.0.get() {
            connection.count_bytes(count, 0);
        }
    }
}

impl Connection {
    pub(super) fn new(
        opened: Opened,
        sender: SendRequest<Data>,
        worker: Rc<Worker>,
        pool: &Rc<Pool>,
        limits: Limits,
    ) -> Rc<Self> {
        let now = worker.clock.now();
        Rc::new(Self {
            worker,
            pool: Rc::downgrade(pool),
            endpoint: opened.endpoint,
            id: opened.id,
            local: opened.local,
            is_secure: opened.is_secure,
            counted: RefCell::new(Some(opened.counted)),
            sender: RefCell::new(Some(sender)),
            verdict: Cell::new(None),
            streams: Cell::new(0),
            requests: Cell::new(0),
            ended: Cell::new(0),
            written: Cell::new(0),
            allowed: Cell::new(None),
            extended: Cell::new(false),
            idle_since: Cell::new(now),
            heard: Cell::new(now),
            turn: Turn::of(TURN),
            lender: opened.lender,
            opening: Cell::new(Some(opened.phases)),
            limits,
        })
    }

    /// A place for one more stream, if there is room.
    pub(super) fn take(self: &Rc<Self>) -> Option<Place> {
        if !self.has_room() {
            return None;
        }
        let sender = self.sender.borrow().clone()?;
        self.streams.set(self.streams.get() + 1);
        self.requests.set(self.requests.get() + 1);
        if self.requests.get() >= self.limits.requests {
            self.retire();
        }
        let opening = self.opening.take();
        let written = self.written.get();
        Some(Place { connection: Rc::clone(self), sender: Some(sender), opening, written })
    }

    /// Whether it may have another stream.
    pub(super) fn has_room(&self) -> bool {
        // Until the endpoint has said how many it takes, one: it may refuse what it cannot take, and a body that has
        // been passed on cannot be sent again.
        let allowed = self.allowed.get().unwrap_or(1).min(self.limits.streams);
        self.streams.get() < allowed && !self.is_retired()
    }

    /// Takes no more streams. It ends with the last that it has.
    pub(super) fn retire(&self) {
        // Bound, so that it is not dropped while it is borrowed: that wakes the task.
        let sender = self.sender.borrow_mut().take();
        drop(sender);
    }

    /// The same for one that nobody uses, which no longer counts from now on.
    pub(super) fn evict(&self) {
        self.retire();
        let counted = self.counted.borrow_mut().take();
        drop(counted);
    }

    /// Whether it takes no more streams.
    pub(super) fn is_retired(&self) -> bool {
        self.sender.borrow().is_none()
    }

    /// Whether it is not yet known how many streams it may have, or none are allowed for now.
    pub(super) fn is_opening(&self) -> bool {
        matches!(self.allowed.get(), None | Some(0)) && !self.is_retired()
    }

    /// When it had its last stream; `None` while it has some.
    pub(super) fn idle_since(&self) -> Option<u64> {
        (self.streams.get() == 0).then(|| self.idle_since.get())
    }

    /// Streams that began and ended so far: what has not changed, stands still.
    pub(super) fn activity(&self) -> (u32, u32) {
        (self.requests.get(), self.ended.get())
    }

    /// When something last came from the endpoint.
    pub(super) fn heard(&self) -> u64 {
        self.heard.get()
    }

    /// What it may read before other tasks have their turn.
    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Takes note of how many streams the endpoint allows; true where that is more than before.
    pub(super) fn allow(&self, streams: usize) -> bool {
        if self.allowed.get() == Some(streams) {
            return false;
        }
        let sender = self.sender.borrow();
        let extended =
            sender.as_ref().is_some_and(SendRequest::is_extended_connect_protocol_enabled);
        self.extended.set(extended || self.extended.get());
        let before = self.allowed.replace(Some(streams));
        before.is_none_or(|before| before < streams)
    }

    /// Streams that it may have at a time, as far as is known.
    pub(super) fn capacity(&self) -> Option<usize> {
        Some(self.allowed.get()?.min(self.limits.streams))
    }

    /// Why it takes no further streams, where that is not this end's doing; asks the `h2` crate.
    pub(super) fn refusal(&self, cx: &mut Context<'_>) -> Option<h2::Error> {
        match self.sender.borrow_mut().as_mut()?.poll_ready(cx) {
            Poll::Ready(Err(error)) => Some(error),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }

    /// Says why it is given up. Its streams fail when its task drops it.
    pub(super) fn condemn(&self, why: &'static str) {
        self.verdict.set(Some(why));
        self.retire();
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Counts that the endpoint has said it is going to close.
    pub(super) fn count_notice(&self) {
        if let Some(counted) = &*self.counted.borrow() {
            counted.count_notice();
        }
    }

    /// Counts bytes that were moved.
    fn count_bytes(&self, written: usize, read: usize) {
        self.written.set(self.written.get() + written as u64);
        if let Some(counted) = &*self.counted.borrow() {
            counted.count_bytes(written as u64, read as u64);
        }
    }

    fn leave(&self) {
        self.streams.set(self.streams.get() - 1);
        self.ended.set(self.ended.get().wrapping_add(1));
        self.idle_since.set(self.worker.clock.now());
        if let Some(pool) = self.pool.upgrade() {
            pool.waiting.wake_first();
        }
    }
}

/// The right to one stream of a connection, from before it begins until it has ended. To be dropped after all that
/// belongs to the stream.
pub(crate) struct Place {
    pub(super) connection: Rc<Connection>,
    sender: Option<SendRequest<Data>>,
    opening: Option<Phases>,
    /// Bytes that had been written to the connection.
    written: u64,
}

impl Place {
    /// What begins the stream.
    ///
    /// # Panics
    /// The second time.
    pub(in crate::upstream) fn take_sender(&mut self) -> SendRequest<Data> {
        self.sender.take().expect("a place is for one stream")
    }

    /// Whether the endpoint is known to take CONNECT with a `:protocol` (RFC 8441).
    pub(crate) fn allows_extended_connect(&self) -> bool {
        self.connection.extended.get()
    }

    /// Makes the content of its frames.
    pub(in crate::upstream) fn lender(&self) -> Rc<Lender> {
        Rc::clone(&self.connection.lender)
    }

    /// What `:scheme` says.
    pub(in crate::upstream) fn scheme(&self) -> &'static str {
        if self.connection.is_secure { "https" } else { "http" }
    }

    /// Which connection it is.
    pub(crate) fn connection_id(&self) -> u64 {
        self.connection.id
    }

    /// This end's address.
    pub(crate) fn local_addr(&self) -> Option<Rc<PeerAddr>> {
        self.connection.local.clone()
    }

    /// Where the connection goes.
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.connection.endpoint
    }

    /// Whether the connection was there before.
    pub(crate) fn is_reused(&self) -> bool {
        self.opening.is_none()
    }

    /// How long it took to make the connection, for the first that uses it.
    pub(super) fn opening(&self) -> Option<Phases> {
        self.opening
    }

    /// Has the connection end with this stream.
    pub(super) fn retire_connection(&self) {
        self.connection.retire();
    }

    /// Whether the endpoint has said its settings, as HTTP/2 wants it.
    pub(crate) fn is_settled(&self) -> bool {
        self.connection.allowed.get().is_some()
    }

    /// Whether a part of the request may have been sent: of a connection that turns out to be at its end, the end is
    /// read before anything is written.
    pub(crate) fn may_have_sent(&self) -> bool {
        self.connection.written.get() > self.written
    }

    /// Why this end has given up the connection, if it has.
    pub(crate) fn verdict(&self) -> Option<&'static str> {
        self.connection.verdict.get()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sender = None;
        self.connection.leave();
    }
}
