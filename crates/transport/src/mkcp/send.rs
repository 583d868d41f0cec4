//! What was written and is not acknowledged yet.

use std::collections::VecDeque;

use super::segment::before;

/// So many later segments have to arrive first before one is taken for lost. It grows where that proves wrong.
const REORDERING: u64 = 3;
const REORDERING_MAX: u64 = 300;
/// Segments that a timeout sends again at a time. Where more are lost, the answers to these show it.
const PROBES: usize = 16;

/// The window of unacknowledged bytes.
///
/// The bytes lie in one buffer; segments are pieces of it, cut when they are first sent. Their numbers are those of the
/// queue: the first is `first`.
#[derive(Debug, Default)]
pub(super) struct SendWindow {
    bytes: VecDeque<u8>,
    /// Position of the first byte in the stream.
    base: u64,
    segments: VecDeque<Sent>,
    /// Number of the first segment: the lowest that is not acknowledged.
    first: u32,
    /// Bytes that are in segments.
    cut: usize,
    /// Each transmission in its order; those of segments that were acknowledged or sent again since are skipped.
    log: VecDeque<(u64, u32)>,
    /// Segments to send again. Each is sent twice (the second time it says `true`): where one of twenty is lost, so are
    /// some of those that are sent again, and everything behind them waits another round trip.
    lost: VecDeque<(u32, bool)>,
    /// Transmissions so far.
    serial: u64,
    /// The latest transmission that is known to have arrived.
    arrived: u64,
    reordering: u64,
    in_flight: usize,
}

#[derive(Debug)]
struct Sent {
    start: u64,
    length: u16,
    state: State,
    /// Of its latest transmission.
    serial: u64,
    at: u64,
    again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InFlight,
    Lost,
    Acknowledged,
}

/// A segment to transmit.
#[derive(Debug)]
pub(super) struct Transmit {
    pub(super) number: u32,
    start: usize,
    pub(super) length: u16,
    /// It was sent before.
    pub(super) again: bool,
}

impl SendWindow {
    /// Takes bytes as far as there is room.
    pub(super) fn write(&mut self, bytes: &[u8], limit: usize) -> usize {
        let count = bytes.len().min(limit.saturating_sub(self.bytes.len()));
        self.bytes.extend(&bytes[..count]);
        count
    }

    /// Bytes that wait or are not acknowledged.
    pub(super) fn buffered(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The lowest number without an acknowledgement.
    pub(super) fn first(&self) -> u32 {
        self.first
    }

    /// The number of the next new segment.
    pub(super) fn next(&self) -> u32 {
        self.first.wrapping_add(self.span())
    }

    /// Numbers from the first unacknowledged one to the newest.
    pub(super) fn span(&self) -> u32 {
        u32::try_from(self.segments.len()).expect("the window is far smaller")
    }

    /// Segments sent and neither acknowledged nor lost.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn has_lost(&mut self) -> bool {
        self.skip_stale_lost();
        !self.lost.is_empty()
    }

    /// Whether there are bytes that were never sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.cut < self.bytes.len()
    }

    /// How long the next segment to be sent is.
    pub(super) fn next_length(&mut self, largest: usize) -> usize {
        self.skip_stale_lost();
        match self.lost.front() {
            Some((number, _)) => self.sent(*number).map_or(0, |sent| sent.length.into()),
            None => (self.bytes.len() - self.cut).min(largest),
        }
    }

    /// The lost segment to send first, as sent now.
    pub(super) fn send_lost(&mut self, now: u64) -> Option<Transmit> {
        self.skip_stale_lost();
        let (number, copy) = self.lost.pop_front()?;
        if !copy {
            self.lost.push_back((number, true));
        }
        let serial = self.log(number);
        let base = self.base;
        let sent = self.sent_mut(number)?;
        let was_lost = sent.state == State::Lost;
        (sent.state, sent.serial, sent.at, sent.again) = (State::InFlight, serial, now, true);
        let (start, length) = ((sent.start - base) as usize, sent.length);
        self.in_flight += usize::from(was_lost);
        Some(Transmit { number, start, length, again: true })
    }

    /// A new segment of at most `largest` bytes, as sent now.
    pub(super) fn send_new(&mut self, largest: usize, now: u64) -> Option<Transmit> {
        let length = u16::try_from((self.bytes.len() - self.cut).min(largest)).ok()?;
        if length == 0 {
            return None;
        }
        let (number, start) = (self.next(), self.cut);
        let serial = self.log(number);
        let sent = Sent {
            start: self.base + start as u64,
            length,
            state: State::InFlight,
            serial,
            at: now,
            again: false,
        };
        self.segments.push_back(sent);
        self.cut += usize::from(length);
        self.in_flight += 1;
        Some(Transmit { number, start, length, again: false })
    }

    /// Appends the payload of a segment.
    pub(super) fn payload(&self, transmit: &Transmit, out: &mut Vec<u8>) {
        let (start, end) = (transmit.start, transmit.start + usize::from(transmit.length));
        let (front, back) = self.bytes.as_slices();
        if start < front.len() {
            out.extend_from_slice(&front[start..end.min(front.len())]);
        }
        if end > front.len() {
            out.extend_from_slice(&back[start.saturating_sub(front.len())..end - front.len()]);
        }
    }

    /// A number was acknowledged; `time` is the sender's clock (ms) of the newest segment of that acknowledgement.
    /// Returns whether that was news.
    pub(super) fn acknowledge(&mut self, number: u32, time: u32, now: u64, rtt: u64) -> bool {
        let Some(sent) = self.sent_mut(number) else { return false };
        let (state, serial, again, at) = (sent.state, sent.serial, sent.again, sent.at);
        if state == State::Acknowledged {
            return false;
        }
        sent.state = State::Acknowledged;
        self.in_flight -= usize::from(state == State::InFlight);
        // The answer to a second transmission may be to the first; the time tells.
        if !again || time == millis(at) {
            self.arrived = self.arrived.max(serial);
        } else if now.saturating_sub(at) < rtt / 2 {
            self.reordering = (self.reordering().saturating_mul(2)).min(REORDERING_MAX);
        }
        true
    }

    /// Everything below `number` has arrived. Returns whether that was news.
    pub(super) fn acknowledge_below(&mut self, number: u32) -> bool {
        let count = number.wrapping_sub(self.first);
        if count == 0 || count > self.span() {
            return false;
        }
        for sent in self.segments.iter_mut().take(count as usize) {
            if sent.state == State::InFlight {
                self.in_flight -= 1;
                if !sent.again {
                    self.arrived = self.arrived.max(sent.serial);
                }
            }
            sent.state = State::Acknowledged;
        }
        true
    }

    /// After acknowledgements: frees what they cover, and finds what is lost. Returns how many segments those are.
    pub(super) fn settle(&mut self) -> usize {
        let mut freed = 0;
        while let Some(sent) = self.segments.front()
            && sent.state == State::Acknowledged
        {
            freed += usize::from(sent.length);
            self.segments.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        self.bytes.drain(..freed);
        self.base += freed as u64;
        self.cut -= freed;
        let mut lost = 0;
        while let Some((serial, number)) = self.oldest()
            && serial + self.reordering() <= self.arrived
        {
            self.lose(number);
            lost += 1;
        }
        lost
    }

    /// When the oldest segment in flight was sent.
    pub(super) fn oldest_at(&mut self) -> Option<u64> {
        let (_, number) = self.oldest()?;
        self.sent(number).map(|sent| sent.at)
    }

    /// Takes the oldest segments that were sent at `until` or before for lost. Returns how many.
    pub(super) fn expire(&mut self, until: u64) -> usize {
        let mut lost = 0;
        while lost < PROBES
            && let Some((_, number)) = self.oldest()
            && self.sent(number).is_some_and(|sent| sent.at <= until)
        {
            self.lose(number);
            lost += 1;
        }
        lost
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self { first: self.next(), ..Self::default() };
    }

    /// Gives memory back.
    pub(super) fn shrink(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = VecDeque::new();
            self.segments = VecDeque::new();
            self.log = VecDeque::new();
            self.lost = VecDeque::new();
        }
    }

    fn reordering(&self) -> u64 {
        self.reordering.max(REORDERING)
    }

    fn log(&mut self, number: u32) -> u64 {
        self.serial += 1;
        self.log.push_back((self.serial, number));
        self.serial
    }

    /// The oldest transmission whose segment is in flight since.
    fn oldest(&mut self) -> Option<(u64, u32)> {
        loop {
            let (serial, number) = *self.log.front()?;
            if self
                .sent(number)
                .is_some_and(|sent| sent.state == State::InFlight && sent.serial == serial)
            {
                return Some((serial, number));
            }
            self.log.pop_front();
        }
    }

    fn lose(&mut self, number: u32) {
        if let Some(sent) = self.sent_mut(number)
            && sent.state == State::InFlight
        {
            sent.state = State::Lost;
            self.in_flight -= 1;
            self.lost.push_back((number, false));
        }
    }

    fn skip_stale_lost(&mut self) {
        while let Some((number, copy)) = self.lost.front()
            && self.sent(*number).is_none_or(|sent| {
                sent.state == State::Acknowledged || (sent.state == State::InFlight && !copy)
            })
        {
            self.lost.pop_front();
        }
    }

    fn sent(&self, number: u32) -> Option<&Sent> {
        self.segments.get(number.wrapping_sub(self.first) as usize)
    }

    fn sent_mut(&mut self, number: u32) -> Option<&mut Sent> {
        self.segments.get_mut(number.wrapping_sub(self.first) as usize)
    }
}

/// The clock of segments.
pub(super) fn millis(micros: u64) -> u32 {
    // It wraps after 49 days.
    (micros / 1000) as u32
}

/// How far the peer lets us send. It speaks of where it was; a peer that goes on reading has come further since.
#[derive(Debug)]
pub(super) struct RemoteWindow {
    edge: u32,
    /// The edge a round trip ago, and when that was.
    mark: Option<(u32, u64)>,
    /// By how much it moved in a round trip.
    advance: u32,
}

impl RemoteWindow {
    /// What v2ray takes for granted.
    const FIRST: u32 = 32;

    pub(super) fn new() -> Self {
        Self { edge: Self::FIRST, mark: None, advance: 0 }
    }

    /// The peer has told its window. Returns whether it moved.
    pub(super) fn update(&mut self, edge: u32, first: u32, now: u64, round_trip: u64) -> bool {
        // An edge that is too far off to be true does not move ours.
        let moved = before(self.edge, edge) && edge.wrapping_sub(first) < 1 << 24;
        if moved {
            self.edge = edge;
        }
        let (marked, at) = *self.mark.get_or_insert((self.edge, now));
        if now.saturating_sub(at) >= round_trip.max(1) {
            self.advance = self.edge.wrapping_sub(marked);
            self.mark = Some((self.edge, now));
        }
        moved
    }

    /// The first number that must not be sent.
    pub(super) fn end(&self) -> u32 {
        self.edge.wrapping_add(self.advance)
    }
}
