//! One conversation, without input and output: datagrams and time go in, datagrams come out.
//!
//! It follows v2ray's `transport/internet/kcp/connection.go` where that can be seen on the wire. Where v2ray waits for a
//! timer it acts at once: see the front page of the module above.

mod congestion;
#[cfg(test)]
mod tests;
mod transmit;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use self::congestion::{Congestion, Pacer};
use super::parameters::Parameters;
use super::receive::ReceiveWindow;
use super::rtt::RoundTrip;
use super::segment::{Body, Progress, Segment, before};
use super::send::{RemoteWindow, SendWindow, millis};

/// Data segments that go to a peer which has acknowledged none. Its address may be forged: then somebody else gets them,
/// and must not get them over and over. As many as TCP begins with (RFC 6928).
const UNPROVEN: u32 = 10;
/// How late an acknowledgement may be.
const ACK_DELAY: u64 = 10_000;
/// Larger payloads do not fit into any MTU that can be configured.
const LARGEST_PAYLOAD: usize = 1500;

/// Who opened the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Dialer,
    Listener,
}

/// How far closing on this side has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Local {
    Active,
    /// Nothing new is written, but not all has arrived: v2ray's ReadyToClose.
    Closing {
        since: u64,
    },
    /// All has arrived (or is given up): the end is being told.
    Terminating {
        since: u64,
        told: u32,
        next: u64,
    },
    /// Over.
    Terminated,
}

/// What the peer has said about its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Active,
    /// It writes nothing new.
    Closed,
    /// All that it wrote has been sent and acknowledged.
    Terminated,
}

/// What a read found.
#[derive(Debug)]
pub(super) enum Read {
    Bytes(usize),
    /// Nothing now.
    Wait,
    End,
}

/// A conversation.
#[derive(Debug)]
pub(super) struct Session {
    parameters: Arc<Parameters>,
    conversation: u16,
    role: Role,
    start: Instant,
    local: Local,
    peer: Peer,
    /// Somebody reads.
    reading: bool,
    failure: Option<io::ErrorKind>,
    /// The peer has given up before all had arrived.
    cut_off: bool,
    /// So have we.
    given_up: bool,
    send: SendWindow,
    receive: ReceiveWindow,
    remote: RemoteWindow,
    rtt: RoundTrip,
    congestion: Congestion,
    pacer: Pacer,
    /// The peer was heard.
    heard: bool,
    /// How many data segments a peer may still be sent that has not acknowledged any; `None` = it has.
    unproven: Option<u32>,
    last_heard: u64,
    /// When the peer last acknowledged, or began to have something to acknowledge.
    last_ack: u64,
    last_ping: u64,
    /// A ping that does not wait for its time.
    ping: bool,
    /// Until the peer is heard, pings come at growing intervals.
    opening: u64,
    /// Timeouts without an acknowledgement between them.
    timeouts: u32,
}

impl Session {
    pub(super) fn new(
        parameters: &Arc<Parameters>,
        conversation: u16,
        role: Role,
        now: Instant,
    ) -> Self {
        Self {
            conversation,
            role,
            start: now,
            local: Local::Active,
            peer: Peer::Active,
            reading: true,
            failure: None,
            cut_off: false,
            given_up: false,
            send: SendWindow::default(),
            receive: ReceiveWindow::new(parameters.receive_window, parameters.segment_size),
            remote: RemoteWindow::new(),
            rtt: RoundTrip::new(parameters.interval),
            congestion: Congestion::new(parameters.congestion),
            pacer: Pacer::new(parameters.pace),
            heard: false,
            unproven: (role == Role::Listener).then_some(UNPROVEN),
            last_heard: 0,
            last_ack: 0,
            last_ping: 0,
            // The listener cannot know of a conversation in which nothing was said.
            ping: true,
            opening: 300_000,
            timeouts: 0,
            parameters: Arc::clone(parameters),
        }
    }

    /// Whether a segment can begin a conversation: its sender has not heard anything yet. A stray segment of one that is
    /// over does not look so.
    pub(super) fn opens(segment: &Segment<'_>) -> bool {
        match segment.body {
            Body::Data { number, sending_next: 0, .. } => number < 1 << 16,
            Body::Ping(Progress { sending_next: 0, receiving_next: 0, .. }) => !segment.close,
            _ => false,
        }
    }

    /// The conversation is over, and nothing is left to be sent.
    pub(super) fn is_over(&self) -> bool {
        self.local == Local::Terminated
    }

    /// Whether a read would not have to wait.
    pub(super) fn is_readable(&self) -> bool {
        self.receive.is_readable() || !matches!(self.end(), Ok(Read::Wait))
    }

    /// Whether a write would not have to wait. Room of a few bytes is not worth waking anybody.
    pub(super) fn is_writable(&self) -> bool {
        self.local != Local::Active || self.send.buffered() <= self.parameters.write_buffer / 4 * 3
    }

    /// Whether closing is done: all that was written has arrived, or will not.
    pub(super) fn is_flushed(&self) -> bool {
        matches!(self.local, Local::Terminating { told: 1.., .. } | Local::Terminated)
    }

    /// Takes bytes in order.
    ///
    /// # Errors
    /// The conversation has failed.
    pub(super) fn read(&mut self, out: &mut [u8], now: Instant) -> Result<Read, io::ErrorKind> {
        if self.receive.is_readable() {
            let now = self.micros(now);
            return Ok(Read::Bytes(self.receive.read(out, now)));
        }
        self.end()
    }

    fn end(&self) -> Result<Read, io::ErrorKind> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        match (self.peer, self.local) {
            (Peer::Terminated, _) if self.cut_off || self.receive.has_gap() => {
                Err(io::ErrorKind::ConnectionReset)
            }
            (Peer::Terminated, _) | (_, Local::Terminated) => Ok(Read::End),
            _ => Ok(Read::Wait),
        }
    }

    /// Takes bytes to be sent; `Ok(0)` = there is no room now.
    ///
    /// # Errors
    /// The conversation has failed, or this side has closed.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, io::ErrorKind> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if self.local != Local::Active {
            return Err(io::ErrorKind::BrokenPipe);
        }
        Ok(self.send.write(bytes, self.parameters.write_buffer))
    }

    /// Nothing more is written. What the peer sends can still be read.
    pub(super) fn close(&mut self, now: Instant) {
        if self.local == Local::Active {
            self.local = Local::Closing { since: self.micros(now) };
        }
    }

    /// Nobody reads or writes any more: what is written is still sent.
    pub(super) fn detach(&mut self, now: Instant) {
        self.close(now);
        self.reading = false;
        self.receive.clear();
    }

    /// The peer is told the end at once, and what it has not received is dropped.
    pub(super) fn abort(&mut self, now: Instant) {
        self.cut(self.micros(now));
        self.detach(now);
    }

    /// The conversation cannot go on. It does not have to where both have told the end.
    pub(super) fn fail(&mut self, kind: io::ErrorKind) {
        if self.local != Local::Terminated {
            let told = matches!(self.local, Local::Terminating { told: 1.., .. });
            if !told || self.peer != Peer::Terminated {
                self.failure = Some(kind);
            }
            self.local = Local::Terminated;
            self.send.clear();
        }
    }

    /// Why it has failed.
    pub(super) fn failure(&self) -> Option<io::ErrorKind> {
        self.failure
    }

    /// Whether reading has made something that the peer has to be told.
    pub(super) fn has_news(&self, now: Instant) -> bool {
        self.receive.due().is_some_and(|due| due <= self.micros(now))
    }

    /// Whether the peer was ever heard.
    pub(super) fn is_heard(&self) -> bool {
        self.heard
    }

    /// Takes a segment of this conversation.
    pub(super) fn input(&mut self, segment: &Segment<'_>, now: Instant) {
        if self.local == Local::Terminated {
            return;
        }
        let now = self.micros(now);
        self.heard = true;
        self.last_heard = now;
        // A peer that goes on speaking gets an answer after all, if the first ones were lost.
        self.unproven = self.unproven.map(|left| (left + 1).min(UNPROVEN));
        let ends = segment.close || matches!(segment.body, Body::Terminate { .. });
        if ends && self.peer == Peer::Active {
            self.peer = Peer::Closed;
            self.last_ack = now;
        }
        match segment.body {
            Body::Data { number, timestamp, payload, .. } => {
                if self.reading && payload.len() <= LARGEST_PAYLOAD {
                    let delay = ACK_DELAY.min(self.parameters.interval);
                    self.receive.data(number, timestamp, payload, now, delay);
                }
            }
            Body::Ack { window, receiving_next, timestamp, numbers } => {
                self.last_ack = now;
                if self.remote.update(window, self.send.first(), now, self.rtt.smoothed()) {
                    self.timeouts = 0;
                }
                let mut news = self.send.acknowledge_below(receiving_next);
                let mut newest = None;
                for number in numbers.iter() {
                    let removed =
                        self.send.acknowledge(number, timestamp, now, self.rtt.smoothed());
                    news |= removed;
                    if newest.is_none_or(|(highest, _)| before(highest, number)) {
                        newest = Some((number, removed));
                    }
                }
                if newest.is_some_and(|(_, removed)| removed) {
                    self.measure(timestamp, now);
                }
                // A peer that tells again what is known has not heard how far we are.
                self.ping |= !news && numbers.iter().next().is_some() && self.send.is_empty();
                self.settle(news);
            }
            Body::Ping(progress) => {
                let news = self.send.acknowledge_below(progress.receiving_next);
                self.settle(news);
            }
            Body::Terminate { progress, reads } => self.terminate(progress, reads, now),
        }
    }

    fn measure(&mut self, timestamp: u32, now: u64) {
        let time = millis(now).wrapping_sub(timestamp);
        if time < 10_000 {
            self.rtt.sample(u64::from(time) * 1000);
        }
    }

    fn settle(&mut self, news: bool) {
        if news {
            self.timeouts = 0;
            self.unproven = None;
            let lost = self.send.settle();
            self.congestion.lost(lost);
        }
    }

    fn terminate(&mut self, progress: Progress, reads: bool, now: u64) {
        let news = self.send.acknowledge_below(progress.receiving_next);
        self.settle(news);
        self.cut_off |=
            self.peer != Peer::Terminated && before(self.receive.next(), progress.sending_next);
        self.peer = Peer::Terminated;
        if !reads {
            self.hang_up(now);
        }
        // It is repeated until it is answered: by our own end, or by a sign of life.
        self.ping |= !matches!(self.local, Local::Terminating { .. });
    }

    fn micros(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }
}
