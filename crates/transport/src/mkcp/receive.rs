//! What arrived and is not read yet, and what has to be acknowledged.

use std::collections::VecDeque;

use super::segment::before;

/// Acknowledgements that wait are told at once when there are so many.
const PROMPT: usize = 32;
/// A hostile peer repeats itself: more than this is not remembered between two acknowledgements.
const PENDING: usize = 4096;
/// The first segments of a connection are acknowledged at once, so that the peer learns window and round trip.
const QUICK: u32 = 16;

/// The window of received segments.
#[derive(Debug, Default)]
pub(super) struct ReceiveWindow {
    /// In order, to be read.
    ready: VecDeque<u8>,
    /// The number that comes next.
    next: u32,
    /// Segments after a gap: the first is that of `next + 1`.
    early: VecDeque<Option<Box<[u8]>>>,
    early_count: usize,
    /// Segments that there is room for.
    capacity: u32,
    /// Bytes of a segment, as a measure of `ready`.
    segment_size: usize,
    /// The first number that the peer was told there is no room for.
    told: u32,
    /// Numbers to acknowledge, and those after a gap to acknowledge for the second time: an acknowledgement may be lost.
    fresh: Vec<u32>,
    again: Vec<u32>,
    /// Clock of the newest of them.
    timestamp: u32,
    /// When acknowledgements are due, in microseconds.
    due: Option<u64>,
}

impl ReceiveWindow {
    pub(super) fn new(capacity: u32, segment_size: usize) -> Self {
        Self { capacity, segment_size, told: capacity, ..Self::default() }
    }

    /// A segment has arrived. `delay`: how long its acknowledgement may wait.
    pub(super) fn data(
        &mut self,
        number: u32,
        timestamp: u32,
        payload: &[u8],
        now: u64,
        delay: u64,
    ) {
        let index = number.wrapping_sub(self.next);
        if before(number, self.next) || index >= self.told.wrapping_sub(self.next) {
            // It is known already, or there is no room: the peer has to be told.
            self.due = Some(now);
            return;
        }
        self.acknowledge(number, timestamp, now, delay);
        if index == 0 {
            self.ready.extend(payload);
            self.next = self.next.wrapping_add(1);
            self.close_gap();
        } else {
            let slot = index as usize - 1;
            if self.early.len() <= slot {
                self.early.resize_with(slot + 1, || None);
            }
            if self.early[slot].is_none() {
                self.early[slot] = Some(payload.into());
                self.early_count += 1;
            }
        }
    }

    fn acknowledge(&mut self, number: u32, timestamp: u32, now: u64, delay: u64) {
        if self.fresh.len() < PENDING {
            self.fresh.push(number);
        }
        if self.fresh.len() == 1 || before(self.timestamp, timestamp) {
            self.timestamp = timestamp;
        }
        let due = if self.fresh.len() >= PROMPT || number < QUICK { now } else { now + delay };
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    fn close_gap(&mut self) {
        while let Some(payload) = self.early.pop_front() {
            let Some(payload) = payload else { break };
            self.ready.extend(payload.iter());
            self.early_count -= 1;
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Takes bytes that are in order.
    pub(super) fn read(&mut self, out: &mut [u8], now: u64) -> usize {
        let (front, back) = self.ready.as_slices();
        let first = front.len().min(out.len());
        out[..first].copy_from_slice(&front[..first]);
        let second = back.len().min(out.len() - first);
        out[first..first + second].copy_from_slice(&back[..second]);
        self.ready.drain(..first + second);
        // A peer that had little room left is told when there is a good deal more.
        let (left, more) = (self.told.wrapping_sub(self.next), self.edge().wrapping_sub(self.told));
        if left < self.capacity / 2 && more >= self.capacity / 4 {
            self.due = Some(now);
        }
        first + second
    }

    /// Whether there are bytes to read.
    pub(super) fn is_readable(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether something after a gap has arrived.
    pub(super) fn has_gap(&self) -> bool {
        self.early_count > 0
    }

    /// All below it have arrived.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// When acknowledgements have to be sent.
    pub(super) fn due(&self) -> Option<u64> {
        self.due
    }

    /// The next acknowledgement, of at most `limit` numbers: window, lowest number, clock, numbers.
    ///
    /// v2ray measures round trips only by numbers that are news to it; so what is told to have arrived ends before them.
    pub(super) fn acknowledgement(&mut self, limit: usize) -> ([u32; 3], Vec<u32>) {
        let count = self.fresh.len().min(limit);
        let next = self.next;
        let mut numbers: Vec<u32> = self.fresh.drain(..count).collect();
        let below = numbers
            .iter()
            .fold(next, |low, number| if before(*number, low) { *number } else { low });
        let after_gap: Vec<u32> = numbers.iter().copied().filter(|it| before(next, *it)).collect();
        let second = std::mem::replace(&mut self.again, after_gap);
        let room = limit - count;
        numbers.extend(second.into_iter().filter(|it| !before(*it, next)).take(room));
        if self.fresh.is_empty() {
            self.due = None;
        }
        let edge = self.edge();
        if before(self.told, edge) {
            self.told = edge;
        }
        ([self.told, below, self.timestamp], numbers)
    }

    /// Drops what nobody reads.
    pub(super) fn clear(&mut self) {
        self.ready = VecDeque::new();
        self.early = VecDeque::new();
        self.early_count = 0;
        (self.fresh, self.again, self.due) = (Vec::new(), Vec::new(), None);
    }

    /// Gives memory back.
    pub(super) fn shrink(&mut self) {
        if self.ready.is_empty() && self.early_count == 0 && self.fresh.is_empty() {
            self.clear();
        }
    }

    fn edge(&self) -> u32 {
        let unread = self.ready.len().div_ceil(self.segment_size);
        let free = self.capacity.saturating_sub(u32::try_from(unread).unwrap_or(u32::MAX));
        self.next.wrapping_add(free)
    }
}
