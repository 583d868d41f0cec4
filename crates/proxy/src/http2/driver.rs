//! The task of one connection: moves its frames, begins its streams, knows when it has to end.

use std::rc::Rc;
use std::task::{Context, Poll};

use h2::server::{Connection, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::Request;
use rosn_base::Timer;
use rosn_config::checked::Http2Settings;
use rosn_net::Metered;
use tracing::debug;

use super::meter::Meter;
use super::{Shared, stream};
use crate::context::Serving;
use crate::goodbye::{SILENCE, TIME};
use crate::h2::{Data, Gather};
use crate::upstream::{NEVER, nanos};

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// Both sides have said all.
    Closed,
    /// What the peer sent does not let it go on, or nothing can be sent or read any more.
    Failed(h2::Error),
    /// The peer was told to calm down.
    Flood(String),
    /// It did not take our last words, or did not answer a PING.
    Dead(&'static str),
}

impl End {
    pub(super) fn of(error: h2::Error) -> Self {
        let is_flood = error.reason() == Some(Reason::ENHANCE_YOUR_CALM) && error.is_library();
        if is_flood { Self::Flood(error.to_string()) } else { Self::Failed(error) }
    }
}

pub(super) struct Driver {
    connection: Connection<Gather<Metered<Rc<Meter>>>, Data>,
    gather: Gather<Metered<Rc<Meter>>>,
    shared: Rc<Shared>,
    /// As of the newest stream.
    serving: Serving,
    timer: Timer,
    settings: Http2Settings,
    begin: u64,
    pings: Option<PingPong>,
    /// When a PING was sent that was not answered yet.
    pinged: Option<u64>,
    /// GOAWAY was sent, or is about to be.
    is_leaving: bool,
    /// The flood for which the connection ends.
    flood: Option<&'static str>,
    was_busy: bool,
    /// When the last stream ended, or GOAWAY was sent while there was none.
    quiet_since: u64,
}

impl Driver {
    pub(super) fn new(
        mut connection: Connection<Gather<Metered<Rc<Meter>>>, Data>,
        gather: Gather<Metered<Rc<Meter>>>,
        shared: Rc<Shared>,
        serving: Serving,
        timer: Timer,
        settings: Http2Settings,
    ) -> Self {
        gather.begin();
        let begin = shared.worker.clock.now();
        let pings = settings.ping_interval.and_then(|_| connection.ping_pong());
        Self {
            connection,
            gather,
            shared,
            serving,
            timer,
            settings,
            begin,
            pings,
            pinged: None,
            is_leaving: false,
            flood: None,
            was_busy: false,
            quiet_since: begin,
        }
    }

    /// Goes on as far as possible. Ready when the connection has ended; its streams see the same then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.shared.meter.begin_turn();
        loop {
            while let Poll::Ready(accepted) = self.connection.poll_accept(cx) {
                match accepted {
                    Some(Ok((request, respond))) => self.begin_stream(request, respond),
                    Some(Err(error)) => return Poll::Ready(End::of(error)),
                    None => {
                        let flood = self.flood.map(|what| End::Flood(what.into()));
                        return Poll::Ready(flood.unwrap_or(End::Closed));
                    }
                }
            }
            if !self.gather.release(cx) {
                continue;
            }
            let is_exhausted = self.shared.take_exhausted(cx.waker());
            if self.flood.is_none() && (is_exhausted || self.shared.meter.is_flooded()) {
                // Its streams end with it.
                let streams = "too many streams came to nothing";
                let frames = "too much came that is of no use to a stream";
                (self.is_leaving, self.flood) =
                    (true, Some(if is_exhausted { streams } else { frames }));
                self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                continue;
            }
            let is_over = self.shared.worker.is_draining() || self.is_too_old();
            if is_over && self.leave() {
                continue;
            }
            match self.wait(cx) {
                Wait::Set => return Poll::Pending,
                Wait::Again => {}
                Wait::Over(why) => return Poll::Ready(End::Dead(why)),
            }
        }
    }

    fn begin_stream(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Data>) {
        let worker = &self.shared.worker;
        if !self.serving.refresh(worker) {
            // What is under way is still served, and nothing more.
            self.leave();
        }
        let id = respond.stream_id().as_u32();
        let has_room = self.shared.live.get() < 2 * self.settings.max_concurrent_streams as usize;
        // A stream that was reset already has no task to end.
        let mut none = Context::from_waker(std::task::Waker::noop());
        if respond.poll_reset(&mut none).is_ready() {
            self.shared.came_to_nothing(id, "it was reset at once");
        } else if !has_room {
            self.shared.refused(id);
            respond.send_reset(Reason::REFUSED_STREAM);
        } else {
            stream::begin(&self.shared, self.serving.clone(), request, respond);
        }
    }

    /// Begins to end the connection: GOAWAY that lets what is under way arrive, a PING, and behind its answer GOAWAY
    /// with the last stream (RFC 9113 section 6.8). False where that was begun before.
    fn leave(&mut self) -> bool {
        if self.is_leaving {
            return false;
        }
        self.is_leaving = true;
        self.quiet_since = self.shared.worker.clock.now();
        self.connection.graceful_shutdown();
        true
    }

    fn is_too_old(&self) -> bool {
        let age = self.shared.worker.clock.now().saturating_sub(self.begin);
        self.settings.max_connection_age.is_some_and(|max| age >= nanos(max))
    }

    /// Looks which deadline is next, and does what the present one asks for.
    fn wait(&mut self, cx: &mut Context<'_>) -> Wait {
        let now = self.shared.worker.clock.now();
        let is_busy = self.shared.live.get() > 0;
        if self.was_busy && !is_busy {
            self.quiet_since = now;
        }
        self.was_busy = is_busy;
        let mut due = NEVER;
        if !is_busy && (self.connection.has_streams() || self.gather.is_holding()) {
            // All was said; the client has not yet taken it.
            let progress = self.quiet_since.max(self.shared.meter.last_write());
            due = progress.saturating_add(self.serving.idle_timeout());
            if now >= due {
                return Wait::Over("it does not read");
            }
        } else if !is_busy {
            due = match self.is_leaving {
                true => self.end_of_patience(),
                false => self.quiet_since.saturating_add(self.serving.idle_timeout()),
            };
            if now >= due {
                return match self.leave() {
                    true => Wait::Again,
                    false => Wait::Over("it did not take its end"),
                };
            }
        } else if let Some(age) = self.settings.max_connection_age
            && !self.is_leaving
        {
            due = self.begin.saturating_add(nanos(age));
        }
        match self.keep_alive(cx, now, is_busy) {
            Ok(ping) => due = due.min(ping),
            Err(why) => return Wait::Over(why),
        }
        if self.timer.deadline() != Some(due) {
            self.timer.set(due);
        }
        if self.timer.poll_expired(cx.waker()) {
            // The clock may be older than the timer's.
            self.shared.worker.clock.refresh();
            self.timer.set(due);
            return Wait::Again;
        }
        Wait::Set
    }

    /// Until when a client that has been told of the end may take it. Its answer to our PING may stand behind much that it
    /// still has to read.
    fn end_of_patience(&self) -> u64 {
        let heard = self.quiet_since.max(self.shared.meter.last_read());
        heard.saturating_add(SILENCE).min(self.quiet_since.saturating_add(TIME))
    }

    /// Pings a peer that has streams and from which nothing came for long. Says when to look again.
    fn keep_alive(
        &mut self,
        cx: &mut Context<'_>,
        now: u64,
        is_busy: bool,
    ) -> Result<u64, &'static str> {
        let (Some(pings), Some(interval)) = (&mut self.pings, self.settings.ping_interval) else {
            return Ok(NEVER);
        };
        if let Some(sent) = self.pinged {
            if pings.poll_pong(cx).is_pending() {
                let due = sent.saturating_add(nanos(self.settings.ping_timeout));
                return if now >= due { Err("it did not answer a PING") } else { Ok(due) };
            }
            self.pinged = None;
        }
        if !is_busy {
            return Ok(NEVER);
        }
        let due = self.shared.meter.last_read().saturating_add(nanos(interval));
        if now < due {
            return Ok(due);
        }
        // It fails only where the connection is gone, which the next call says.
        let _ = pings.send_ping(Ping::opaque());
        self.pinged = Some(now);
        debug!(connection = self.shared.info.id, "a PING was sent");
        Ok(now.saturating_add(nanos(self.settings.ping_timeout)))
    }
}

enum Wait {
    /// The task will be woken.
    Set,
    /// There is more to do.
    Again,
    /// It cannot be ended in order.
    Over(&'static str),
}
