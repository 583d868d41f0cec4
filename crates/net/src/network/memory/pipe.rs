//! One direction of a connection: bytes on their way, and how they end.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::Instant;

/// Bytes that a direction holds before the writer has to wait.
pub(super) const CAPACITY: usize = 64 * 1024;

/// One direction of a connection, shared by its two ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Pipe(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    /// How many of `bytes` have arrived.
    arrived: usize,
    /// The others: when how many of them arrive.
    travelling: VecDeque<(Instant, usize)>,
    /// What comes after the bytes, and when.
    end: Option<(End, Option<Instant>)>,
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// How a direction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In order.
    File,
    Reset,
}

/// What came of looking for bytes.
pub(super) enum Read {
    /// Bytes were read, or there will be no more.
    Done,
    /// There are none; the task is woken when that changes.
    Empty,
    /// The next are under way until then.
    Until(Instant),
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what has arrived. A reset shows after the bytes before it, and then for ever.
    pub(super) fn read(&self, cx: &Context<'_>, into: &mut ReadBuf<'_>) -> io::Result<Read> {
        let mut state = self.state();
        state.arrive();
        if state.arrived == 0 {
            return state.nothing(cx);
        }
        let count = state.take(into);
        let writer = if count > 0 { state.writer.take() } else { None };
        drop(state);
        wake(writer);
        Ok(Read::Done)
    }

    /// Takes bytes on a way that is this long. `Ok(None)` = nobody will ever read them.
    pub(super) fn poll_write(
        &self,
        cx: &Context<'_>,
        slices: &[io::IoSlice<'_>],
        latency: Duration,
    ) -> Poll<io::Result<Option<usize>>> {
        let mut state = self.state();
        if state.end.is_some() {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if state.reader_gone {
            return Poll::Ready(Ok(None));
        }
        if state.bytes.len() >= CAPACITY {
            remember(&mut state.writer, cx);
            return Poll::Pending;
        }
        let count = state.put(slices, latency);
        let reader = if count > 0 { state.reader.take() } else { None };
        drop(state);
        wake(reader);
        Poll::Ready(Ok(Some(count)))
    }

    /// Ends it; the first end counts, but for a reset, which always does.
    pub(super) fn end(&self, end: End, latency: Duration) {
        let mut state = self.state();
        if state.end.is_none() || end == End::Reset {
            let at = state.arrival(latency);
            state.end = Some((end, at));
        }
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().for_each(wake);
    }

    /// The reader has closed. Returns whether there was something that it had not read.
    pub(super) fn close_reader(&self) -> bool {
        let mut state = self.state();
        state.arrive();
        let unread = state.arrived > 0;
        state.reader_gone = true;
        state.bytes = VecDeque::new();
        state.travelling.clear();
        state.arrived = 0;
        let writer = state.writer.take();
        drop(state);
        wake(writer);
        unread
    }

    /// Whether the bytes end with a reset that has arrived.
    pub(super) fn is_reset(&self) -> bool {
        let state = self.state();
        state.end.is_some_and(|(end, at)| end == End::Reset && has_come(at))
    }
}

impl State {
    /// Counts those whose time has come as arrived.
    fn arrive(&mut self) {
        while let Some((at, count)) = self.travelling.front()
            && *at <= Instant::now()
        {
            self.arrived += count;
            self.travelling.pop_front();
        }
    }

    fn nothing(&mut self, cx: &Context<'_>) -> io::Result<Read> {
        let next = self.travelling.front().map(|(at, _)| *at);
        let next = next.or(self.end.and_then(|(_, at)| at).filter(|at| *at > Instant::now()));
        match (next, self.end) {
            (Some(at), _) => {
                remember(&mut self.reader, cx);
                Ok(Read::Until(at))
            }
            (None, Some((End::File, _))) => Ok(Read::Done),
            (None, Some((End::Reset, _))) => Err(ErrorKind::ConnectionReset.into()),
            (None, None) => {
                remember(&mut self.reader, cx);
                Ok(Read::Empty)
            }
        }
    }

    fn take(&mut self, into: &mut ReadBuf<'_>) -> usize {
        let wanted = self.arrived.min(into.remaining());
        let (front, back) = self.bytes.as_slices();
        let from_front = wanted.min(front.len());
        into.put_slice(&front[..from_front]);
        into.put_slice(&back[..wanted - from_front]);
        self.bytes.drain(..wanted);
        self.arrived -= wanted;
        wanted
    }

    fn put(&mut self, slices: &[io::IoSlice<'_>], latency: Duration) -> usize {
        let mut count = 0;
        for slice in slices {
            let room = CAPACITY - self.bytes.len();
            let part = &slice[..slice.len().min(room)];
            self.bytes.extend(part);
            count += part.len();
        }
        if count == 0 {
            return 0;
        }
        match self.arrival(latency) {
            None => self.arrived += count,
            Some(at) => self.travelling.push_back((at, count)),
        }
        count
    }

    /// When arrives what is sent now: not before what was sent earlier. `None` = at once.
    fn arrival(&mut self, latency: Duration) -> Option<Instant> {
        self.arrive();
        let earlier = self.travelling.back().map(|(at, _)| *at);
        let own = (!latency.is_zero()).then(|| Instant::now() + latency);
        earlier.max(own)
    }
}

fn has_come(at: Option<Instant>) -> bool {
    at.is_none_or(|at| at <= Instant::now())
}

fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    if !slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *slot = Some(cx.waker().clone());
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
