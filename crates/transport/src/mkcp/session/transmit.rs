//! What a conversation sends, and when.

use std::io;
use std::time::{Duration, Instant};

use super::super::segment::{
    ACK_HEAD, ACK_NUMBERS, COMMAND_SIZE, DATA_HEAD, Progress, Writer, before,
};
use super::super::send::millis;
use super::{Local, Peer, Role, Session};

const SECOND: u64 = 1_000_000;
/// How often a silent conversation shows that it lives (v2ray's).
const PING: u64 = 5 * SECOND;
/// Silence after which the peer is taken to be gone (v2ray's).
const SILENCE: u64 = 30 * SECOND;
/// The same for a peer that was never heard. v2ray may be silent for 5 s.
const UNANSWERED: u64 = 16 * SECOND;
/// How long closing waits for what is written to arrive (v2ray's).
const DRAIN: u64 = 15 * SECOND;
/// How long the end is told to a peer that does not answer (v2ray's).
const TERMINATE: u64 = 8 * SECOND;
/// A peer that has ended must still acknowledge what it is sent; v2ray's does not.
const DEAF: u64 = 4 * SECOND;
/// The end is told this often at least, where its answer is on the way too: datagrams get lost.
const FAREWELLS: u32 = 3;
/// Added to a number it lies beyond all that a peer can have received: "there was more that you will not get".
const CUT_OFF: u32 = 1 << 30;

impl Session {
    /// The next datagram to be sent, as segments that are appended to `out`. Returns false where there is none now.
    pub(in super::super) fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        let now = self.micros(now);
        let begin = out.len();
        self.advance(now);
        if self.local == Local::Terminated {
            return false;
        }
        self.expire(now);
        let full = begin + self.parameters.room;
        while out.len() + DATA_HEAD < full && self.put_data(now, full - out.len(), out) {}
        self.put_acknowledgement(now, full, out);
        if out.len() + COMMAND_SIZE <= full {
            self.put_command(now, out);
        }
        out.len() > begin
    }

    /// Moves to the states that time alone brings about.
    fn advance(&mut self, now: u64) {
        if self.local == Local::Terminated {
            return;
        }
        if self.is_deaf_at() <= now {
            return self.fail(io::ErrorKind::ConnectionReset);
        }
        if self.is_silent_at() <= now {
            return self.fail(io::ErrorKind::TimedOut);
        }
        if let Local::Closing { since } = self.local {
            if self.send.is_empty() {
                self.local = Local::Terminating { since: now, told: 0, next: now };
            } else if since + DRAIN <= now && !self.reading {
                self.cut(now);
            }
        }
        if let Local::Terminating { since, told, .. } = self.local {
            let answered = self.peer == Peer::Terminated;
            // Whoever still reads waits for the peer as long as it shows that it lives.
            let waited = if self.reading { since.max(self.last_heard) } else { since };
            if (answered && told >= FAREWELLS) || waited + TERMINATE <= now {
                self.local = Local::Terminated;
            }
        }
    }

    /// When the peer will have ended without listening to what is sent.
    fn is_deaf_at(&self) -> u64 {
        let listens = self.peer == Peer::Active || self.send.span() == 0;
        if listens { u64::MAX } else { self.last_ack + DEAF }
    }

    /// When the peer will have been silent for too long.
    fn is_silent_at(&self) -> u64 {
        let limit = if self.heard { SILENCE } else { UNANSWERED };
        self.last_heard + limit
    }

    /// Gives up what has not arrived.
    pub(super) fn cut(&mut self, now: u64) {
        if matches!(self.local, Local::Active | Local::Closing { .. }) {
            self.given_up = true;
            self.hang_up(now);
        }
    }

    /// Nobody reads at the other side. The end is told at once: v2ray keeps its socket for 8 s more if it is not, and as
    /// it lets the system give the same port to several of its sockets, what is for a new one then goes to the old.
    pub(super) fn hang_up(&mut self, now: u64) {
        if matches!(self.local, Local::Active | Local::Closing { .. }) {
            self.send.clear();
            self.local = Local::Terminating { since: now, told: 0, next: now };
        }
    }

    fn expire(&mut self, now: u64) {
        if self.retransmit_at().is_some_and(|at| at <= now) {
            let lost = self.send.expire(now.saturating_sub(self.rtt.timeout()));
            if lost > 0 {
                self.timeouts += 1;
                self.congestion.lost(lost);
            }
        }
    }

    /// When the oldest segment has waited long enough. Where nothing comes back the wait grows.
    fn retransmit_at(&mut self) -> Option<u64> {
        let at = self.send.oldest_at()?;
        let backoff = 1 << self.timeouts.saturating_sub(2).min(6);
        Some(at + (self.rtt.timeout() * backoff).min(2 * SECOND.max(self.rtt.timeout())))
    }

    /// Whether a segment may be sent as far as windows go.
    fn may_send(&mut self) -> bool {
        if self.unproven == Some(0) {
            return false;
        }
        if self.send.has_lost() {
            return self.congestion.allows(self.send.in_flight());
        }
        if !self.send.has_unsent() {
            return false;
        }
        // Where the window is closed one segment finds out when it opens.
        self.send.span() == 0
            || (before(self.send.next(), self.remote.end())
                && self.send.span() < self.parameters.send_window
                && self.congestion.allows(self.send.in_flight()))
    }

    /// Appends a data segment, if one may be sent and fits.
    fn put_data(&mut self, now: u64, room: usize, out: &mut Vec<u8>) -> bool {
        if !self.may_send() || !self.pacer.allows(now) {
            return false;
        }
        let largest = self.parameters.segment_size;
        if self.send.next_length(largest) + DATA_HEAD > room {
            return false;
        }
        let Some(transmit) = self.send.send_lost(now).or_else(|| self.send.send_new(largest, now))
        else {
            return false;
        };
        if self.send.span() == 1 && !transmit.again {
            self.last_ack = now;
        }
        self.unproven = self.unproven.map(|left| left.saturating_sub(1));
        self.congestion.sent(now, self.rtt.smoothed());
        let head = [millis(now), transmit.number, self.send.first()];
        self.writer().data(out, head, transmit.length);
        self.send.payload(&transmit, out);
        self.pacer.sent(usize::from(transmit.length), now);
        // It says all that a ping would.
        self.ping = false;
        self.last_ping = now;
        true
    }

    fn put_acknowledgement(&mut self, now: u64, full: usize, out: &mut Vec<u8>) {
        if self.receive.due().is_none_or(|due| due > now) || out.len() + ACK_HEAD + 4 > full {
            return;
        }
        let limit = ((full - out.len() - ACK_HEAD) / 4).min(ACK_NUMBERS);
        let (head, numbers) = self.receive.acknowledgement(limit);
        self.writer().ack(out, head, numbers.into_iter());
    }

    fn put_command(&mut self, now: u64, out: &mut Vec<u8>) {
        let sending_next = self.send.first();
        let progress = Progress {
            sending_next: if self.given_up {
                sending_next.wrapping_add(CUT_OFF)
            } else {
                sending_next
            },
            receiving_next: self.receive.next(),
            timeout: millis(self.rtt.timeout()),
        };
        if let Local::Terminating { since, told, next } = self.local {
            if next <= now {
                let wait = (self.rtt.timeout() << told.min(8)).min(2 * SECOND);
                self.local = Local::Terminating { since, told: told + 1, next: now + wait };
                self.writer().terminate(out, progress, self.reading);
            }
        } else if self.local != Local::Terminated && (self.ping || self.ping_at() <= now) {
            self.ping = false;
            self.last_ping = now;
            if !self.heard {
                self.opening = (2 * self.opening).min(PING);
            }
            self.writer().ping(out, progress);
            self.send.shrink();
            self.receive.shrink();
        }
    }

    fn ping_at(&self) -> u64 {
        let waiting = !self.heard && self.role == Role::Dialer;
        self.last_ping + if waiting { self.opening } else { PING }
    }

    /// When [`Session::transmit`] has to be called next, if nothing else happens; `None` = never.
    pub(in super::super) fn next_timeout(&mut self) -> Option<Instant> {
        if self.local == Local::Terminated {
            return None;
        }
        let mut next = self.is_silent_at().min(self.is_deaf_at());
        let mut sooner = |time: u64| next = next.min(time);
        match self.local {
            Local::Active => sooner(self.ping_at()),
            Local::Closing { since } => {
                sooner(if self.reading { self.ping_at() } else { since + DRAIN })
            }
            Local::Terminating { since, next, .. } => {
                sooner(next.min(since.max(self.last_heard) + TERMINATE))
            }
            Local::Terminated => {}
        }
        self.receive.due().into_iter().for_each(&mut sooner);
        self.retransmit_at().into_iter().for_each(&mut sooner);
        if self.may_send() {
            sooner(self.pacer.next());
        }
        Some(self.start + Duration::from_micros(next))
    }

    fn writer(&self) -> Writer {
        Writer {
            conversation: self.conversation,
            close: matches!(self.local, Local::Closing { .. }),
        }
    }
}
