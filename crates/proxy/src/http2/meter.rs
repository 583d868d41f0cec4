//! The bytes of a client's connection, counted.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use rosn_net::Stream;

use crate::context::Worker;
use crate::h2::Turn;
use crate::snapshot::Listener;
use crate::stats::DownstreamStats;

/// Bytes that a client's connection may read before other tasks have their turn.
const TURN: usize = 32 << 10;

/// An eighth of the bytes that a client may send for nothing, beside eight times the bytes that are for something.
const USELESS: u64 = 1 << 20;

/// What is known of the bytes of a connection: how many, when the last ones, and the stream that is left.
pub(super) struct Meter {
    worker: Rc<Worker>,
    listener: Arc<Listener>,
    last_read: Cell<u64>,
    last_write: Cell<u64>,
    turn: Turn,
    /// Bytes that were read in all.
    read: Cell<u64>,
    /// Bytes of heads and content among these, and those of responses.
    content: Rc<Cell<u64>>,
    rest: RefCell<Option<Stream>>,
}

impl Meter {
    pub(super) fn new(worker: &Rc<Worker>, listener: &Arc<Listener>) -> Rc<Self> {
        Rc::new(Self {
            worker: Rc::clone(worker),
            listener: Arc::clone(listener),
            last_read: Cell::new(worker.clock.now()),
            last_write: Cell::new(worker.clock.now()),
            turn: Turn::of(TURN),
            read: Cell::new(0),
            content: Rc::default(),
            rest: RefCell::default(),
        })
    }

    /// The task of the connection has its turn.
    pub(super) fn begin_turn(&self) {
        self.turn.begin();
    }

    /// Where streams count the bytes of their heads and their content, in both directions.
    pub(super) fn content(&self) -> &Rc<Cell<u64>> {
        &self.content
    }

    /// Whether the client sends much that is of no use to any stream: SETTINGS, PING, PRIORITY, crumbs of windows, frames
    /// that nobody knows. The measure is nginx's.
    pub(super) fn is_flooded(&self) -> bool {
        self.read.get() / 8 > self.content.get().saturating_add(USELESS)
    }

    /// A stream has become a tunnel, whose bytes are not counted: the connection is not judged from now on.
    pub(super) fn has_tunnel(&self) {
        self.content.set(u64::MAX / 2);
    }

    /// When something was last read, in nanoseconds of the worker's clock.
    pub(super) fn last_read(&self) -> u64 {
        self.last_read.get()
    }

    /// When something was last written.
    pub(super) fn last_write(&self) -> u64 {
        self.last_write.get()
    }

    /// The stream, once the connection above it is gone.
    pub(super) fn take_rest(&self) -> Option<Stream> {
        self.rest.borrow_mut().take()
    }

    /// Counts something where it has to be counted.
    pub(super) fn count(&self, count: impl Fn(&DownstreamStats)) {
        for stats in [&self.worker.shared.stats, &self.listener.stats] {
            count(stats.shard(self.worker.index));
        }
    }
}

impl rosn_net::Meter for Meter {
    fn has_turn(&self) -> bool {
        self.turn.has_more()
    }

    fn read(&self, count: usize) {
        self.turn.take(count);
        self.read.set(self.read.get() + count as u64);
        self.last_read.set(self.worker.clock.refresh());
        self.count(|stats| stats.bytes_read_total.add(count as u64));
    }

    fn wrote(&self, count: usize) {
        self.last_write.set(self.worker.clock.now());
        self.count(|stats| stats.bytes_write_total.add(count as u64));
    }

    fn ended(&self, stream: Stream) {
        *self.rest.borrow_mut() = Some(stream);
    }
}
