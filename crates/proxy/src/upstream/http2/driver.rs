//! The task of a connection: it reads and writes, asks whether the endpoint lives, and ends it.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};
use rosn_base::Timer;
use rosn_net::Metered;
use tracing::debug;

use super::connection::{Below, Connection};
use super::obtain::{self, UNKNOWN_STREAMS};
use super::pool::Pool;
use crate::context::Worker;
use crate::h2::{Data, Gather};
use crate::upstream::{NEVER, nanos};

/// A connection on which no stream begins or ends is not pinged more often: the least that gRPC's servers take from
/// their clients by default. They close the connections of those who ping more.
const QUIET_PINGS: Duration = Duration::from_secs(5 * 60);
/// How long the last words to an endpoint may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// When a connection is given up, in nanoseconds.
pub(super) struct Times {
    /// Until the endpoint's first word, from its opening.
    pub(super) settle: u64,
    /// Silence before a ping; [`NEVER`] = none.
    pub(super) ping_after: u64,
    /// For its answer.
    pub(super) ping_timeout: u64,
    /// Until it takes no more streams.
    pub(super) age: u64,
}

/// What drives a connection. Dropping it ends the connection and fails its streams.
pub(super) struct Driver {
    connection: Rc<Connection>,
    io: h2::client::Connection<Gather<Metered<Rc<Below>>>, Data>,
    gather: Gather<Metered<Rc<Below>>>,
    pings: PingPong,
    worker: Rc<Worker>,
    timer: Timer,
    pool: Weak<Pool>,
    times: Times,
    opened: u64,
    is_settled: bool,
    /// The ping that is not answered yet: when it was sent.
    asked: Option<u64>,
    /// The last one: when it was sent, and what had begun and ended by then.
    last_ping: Option<(u64, (u32, u32))>,
    /// When it was seen that nobody needs the connection.
    goodbye: Option<u64>,
}

impl Driver {
    pub(super) fn new(
        connection: Rc<Connection>,
        mut io: h2::client::Connection<Gather<Metered<Rc<Below>>>, Data>,
        gather: Gather<Metered<Rc<Below>>>,
        worker: &Rc<Worker>,
        pool: &Rc<Pool>,
        times: Times,
    ) -> Self {
        Self {
            connection,
            pings: io.ping_pong().expect("nobody else has taken it"),
            io,
            gather,
            worker: Rc::clone(worker),
            timer: worker.wheel.timer(),
            pool: Rc::downgrade(pool),
            times,
            opened: worker.clock.now(),
            is_settled: false,
            asked: None,
            last_ping: None,
            goodbye: None,
        }
    }

    /// Runs until the connection has ended.
    pub(super) async fn run(mut self) {
        let error = poll_fn(|cx| self.poll(cx)).await;
        let (id, endpoint) = (self.connection.id(), self.connection.endpoint().label());
        let why = error.as_ref().map_or_else(|| "closed".to_owned(), ToString::to_string);
        debug!(connection = id, endpoint, "an HTTP/2 connection to an upstream ended: {why}");
        self.fail_early(error);
    }

    /// Ready when the connection has ended, with why.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Error>> {
        self.connection.turn().begin();
        loop {
            if let Poll::Ready(result) = Pin::new(&mut self.io).poll(cx) {
                return Poll::Ready(result.err().map(into_io));
            }
            if self.gather.release(cx) {
                break;
            }
        }
        self.note(cx);
        let now = self.worker.clock.refresh();
        self.poll_pong(cx);
        match self.due(now) {
            Err(verdict) => {
                self.connection.condemn(verdict);
                Poll::Ready(Some(io::Error::new(ErrorKind::TimedOut, verdict)))
            }
            Ok(due) => {
                self.timer.set(due);
                self.timer.poll_expired(cx.waker());
                Poll::Pending
            }
        }
    }

    /// Takes note of what the endpoint said about further streams.
    fn note(&mut self, cx: &mut Context<'_>) {
        let allowed = self.io.max_concurrent_send_streams();
        if allowed != UNKNOWN_STREAMS && self.connection.allow(allowed) {
            self.is_settled = true;
            self.with_pool(|pool| {
                pool.settled(&self.connection);
                pool.waiting.wake_all();
            });
        }
        if let Some(error) = self.connection.refusal(cx) {
            if error.is_go_away() && error.is_remote() {
                self.connection.count_notice();
            }
            self.retire();
            self.fail_early(Some(into_io(error)));
        }
    }

    /// A connection on which the endpoint never began to speak was none: those who wait for it have waited in vain, as
    /// they would for the next one.
    fn fail_early(&mut self, error: Option<io::Error>) {
        if std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        let cause = error.unwrap_or_else(|| ErrorKind::UnexpectedEof.into());
        self.with_pool(|pool| pool.failed(obtain::no_http2(self.connection.endpoint(), cause)));
    }

    /// Has the connection end with the streams that it has.
    fn retire(&self) {
        self.connection.retire();
        self.with_pool(|pool| {
            pool.forget(&self.connection);
            pool.waiting.wake_all();
        });
    }

    fn with_pool(&self, f: impl FnOnce(&Pool)) {
        if let Some(pool) = self.pool.upgrade() {
            f(&pool);
        }
    }

    fn poll_pong(&mut self, cx: &mut Context<'_>) {
        if self.asked.is_some() && self.pings.poll_pong(cx).is_ready() {
            self.asked = None;
        }
    }

    /// Does what is due now. When to look again, or why the connection is given up.
    fn due(&mut self, now: u64) -> Result<u64, &'static str> {
        let connection = Rc::clone(&self.connection);
        let is_idle = connection.idle_since().is_some();
        let mut due = NEVER;
        let mut at = |time: u64| {
            due = due.min(time);
            time <= now
        };
        if connection.is_retired() && is_idle {
            let since = *self.goodbye.get_or_insert(now);
            if at(since.saturating_add(nanos(GOODBYE))) {
                return Err("it did not take leave in time");
            }
        } else {
            self.goodbye = None;
        }
        if !self.is_settled && at(self.opened.saturating_add(self.times.settle)) {
            return Err("the endpoint did not begin to speak HTTP/2 in time");
        }
        if !connection.is_retired() && at(self.opened.saturating_add(self.times.age)) {
            self.retire();
            return Ok(now);
        }
        if let Some(asked) = self.asked {
            let since = asked.max(connection.heard());
            if at(since.saturating_add(self.times.ping_timeout)) {
                return Err("the endpoint did not answer a ping");
            }
        } else if !is_idle && self.times.ping_after < NEVER && at(self.next_ping()) {
            // It fails only where the connection is about to end.
            if self.pings.send_ping(Ping::opaque()).is_ok() {
                self.asked = Some(now);
                self.last_ping = Some((now, connection.activity()));
            }
            return Ok(now.saturating_add(self.times.ping_timeout));
        }
        Ok(due)
    }

    /// When the endpoint is asked whether it lives, unless it says something before.
    fn next_ping(&self) -> u64 {
        let silent = self.connection.heard().saturating_add(self.times.ping_after);
        match self.last_ping {
            Some((sent, activity)) if activity == self.connection.activity() => {
                silent.max(sent.saturating_add(nanos(QUIET_PINGS)))
            }
            _ => silent,
        }
    }
}

/// What a fault of the endpoint's is: the same would come again.
fn into_io(error: h2::Error) -> io::Error {
    match error.is_io() {
        true => error.into_io().unwrap_or_else(|| ErrorKind::ConnectionReset.into()),
        false if error.is_library() => io::Error::new(ErrorKind::InvalidData, error),
        false => io::Error::new(ErrorKind::ConnectionAborted, error),
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.connection.evict();
        self.retire();
    }
}
