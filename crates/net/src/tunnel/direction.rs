//! One direction of a tunnel: copies at first, splices when it is worth it.

use std::io;
use std::task::{Context, Poll};

use rustix::io::Errno;

use super::end::End;
use super::pipe::Pipe;
use super::{Fault, Side};
use crate::turn::end_turn;

/// The size of reads, in bytes: at first, and at most. It grows fourfold when a read was full.
const MIN_CHUNK: usize = 16 << 10;
pub(super) const MAX_CHUNK: usize = 256 << 10;

/// Copied bytes after which a direction splices: by then the three calls that make a pipe are cheap.
const SPLICE_AFTER: u64 = 512 << 10;

/// A wake-up that brings no more than this is not worth splicing: copying takes one call less, and
/// no descriptors.
const SPLICE_SMALL: u64 = 4 << 10;

/// Bytes after which a direction lets others run.
const TURN: u64 = 2 << 20;

#[derive(Debug)]
pub(super) struct Direction {
    /// Bytes that were read and that the sink has not taken: `pending[sent..]`.
    pending: Vec<u8>,
    sent: usize,
    state: State,
    way: Way,
    moved: u64,
    /// The sink may hold back bytes that it took.
    unflushed: bool,
}

/// How far a direction is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The source has ended; what is held goes out, then the end of file.
    Ending,
    /// The sink knows.
    Ended,
}

/// How bytes are moved.
#[derive(Debug)]
enum Way {
    Copy {
        chunk: usize,
        /// Bytes since copying began.
        copied: u64,
    },
    Splice(Pipe),
    /// The kernel cannot splice these two.
    CopyOnly {
        chunk: usize,
    },
}

/// Where a direction stands after it has advanced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Woken when there is something to read.
    WaitsForSource,
    /// Woken when there is room to write.
    WaitsForSink,
    /// Had its turn; goes on at once when the others had theirs.
    Yielded,
    /// The source has ended and all is moved.
    Done,
}

/// Which end of a direction failed.
pub(super) enum Failure {
    Source(io::Error),
    Sink(io::Error),
}

/// Whether a direction goes on.
enum Step {
    Again,
    Stop(Progress),
}

impl Direction {
    /// A direction with bytes that were read already.
    pub(super) fn new(initial: &[u8]) -> Self {
        Self {
            pending: initial.to_vec(),
            sent: 0,
            state: State::Open,
            way: Way::Copy { chunk: MIN_CHUNK, copied: 0 },
            moved: 0,
            unflushed: false,
        }
    }

    /// Bytes that the sink has taken.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Bytes that were read and that the sink has not taken.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let piped = if let Way::Splice(pipe) = &self.way { pipe.held() } else { 0 };
        self.pending.len() - self.sent + piped
    }

    #[cfg(test)]
    pub(super) fn is_splicing(&self) -> bool {
        matches!(self.way, Way::Splice(_))
    }

    /// Moves bytes until it has to wait, has had its turn, or is done; then it is to be ended.
    pub(super) fn advance(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut End,
        sink: &mut End,
        scratch: &mut [u8],
    ) -> Result<Progress, Failure> {
        let before = self.moved;
        loop {
            if self.state == State::Ended {
                return Ok(Progress::Done);
            }
            if self.moved - before >= TURN {
                end_turn(cx);
                return Ok(Progress::Yielded);
            }
            if let Step::Stop(progress) = self.flush(cx, sink)? {
                return Ok(progress);
            }
            if self.state == State::Ending {
                return match self.settle(cx, sink)? {
                    Progress::WaitsForSource => Ok(Progress::Done),
                    waits => Ok(waits),
                };
            }
            let step = match &self.way {
                Way::Splice(_) => self.splice(cx, source, before)?,
                _ => self.copy(cx, source, sink, scratch)?,
            };
            match step {
                Step::Again => {}
                Step::Stop(Progress::WaitsForSource) => return self.settle(cx, sink),
                Step::Stop(progress) => return Ok(progress),
            }
        }
    }

    /// Passes on the end of file, once, after the last byte. False while the sink has to be waited for.
    pub(super) fn end(&mut self, cx: &mut Context<'_>, sink: &mut End) -> io::Result<bool> {
        if self.state == State::Ending {
            match sink.poll_shutdown(cx) {
                Poll::Ready(ended) => ended?,
                Poll::Pending => return Ok(false),
            }
            self.state = State::Ended;
            self.way = Way::CopyOnly { chunk: MIN_CHUNK }; // gives back the pipe
        }
        Ok(true)
    }

    /// Sends what the sink holds back, before the source is waited for.
    fn settle(&mut self, cx: &mut Context<'_>, sink: &mut End) -> Result<Progress, Failure> {
        if self.unflushed {
            match sink.poll_flush(cx) {
                Poll::Ready(flushed) => flushed.map_err(Failure::Sink)?,
                // The source's event wakes the task as well: nothing is read in the meantime.
                Poll::Pending => return Ok(Progress::WaitsForSink),
            }
            self.unflushed = false;
        }
        Ok(Progress::WaitsForSource)
    }

    /// Passes on what is held.
    fn flush(&mut self, cx: &mut Context<'_>, sink: &mut End) -> Result<Step, Failure> {
        while self.sent < self.pending.len() {
            match sink.poll_write(cx, &self.pending[self.sent..]) {
                Poll::Ready(written) => {
                    let count = written.map_err(Failure::Sink)?;
                    self.sent += count;
                    self.moved += count as u64;
                    self.unflushed = true;
                }
                Poll::Pending => return Ok(Step::Stop(Progress::WaitsForSink)),
            }
        }
        self.pending = Vec::new();
        self.sent = 0;
        while let Way::Splice(pipe) = &mut self.way
            && pipe.held() > 0
        {
            match sink.poll_write_call(cx, |fd| pipe.drain(fd)) {
                Poll::Ready(Ok(count)) => self.moved += count as u64,
                Poll::Ready(Err(error)) if cannot_splice(&error) => {
                    self.unsplice().map_err(Failure::Sink)?;
                    return Ok(Step::Again);
                }
                Poll::Ready(Err(error)) => return Err(Failure::Sink(error)),
                Poll::Pending => return Ok(Step::Stop(Progress::WaitsForSink)),
            }
        }
        Ok(Step::Again)
    }

    /// Reads once and passes it on; what the sink does not take is kept.
    fn copy(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut End,
        sink: &mut End,
        scratch: &mut [u8],
    ) -> Result<Step, Failure> {
        let (Way::Copy { chunk, .. } | Way::CopyOnly { chunk }) = &mut self.way else {
            return Ok(Step::Again);
        };
        let room = (*chunk).min(scratch.len());
        let Poll::Ready(read) = source.poll_read(cx, &mut scratch[..room]) else {
            return Ok(Step::Stop(Progress::WaitsForSource));
        };
        let count = read.map_err(Failure::Source)?;
        if count == 0 {
            self.state = State::Ending;
            return Ok(Step::Again);
        }
        if count == *chunk {
            *chunk = (*chunk * 4).min(MAX_CHUNK);
        }
        let mut rest = &scratch[..count];
        while !rest.is_empty() {
            let Poll::Ready(written) = sink.poll_write(cx, rest) else {
                self.pending.extend_from_slice(rest);
                return Ok(Step::Stop(Progress::WaitsForSink));
            };
            let written = written.map_err(Failure::Sink)?;
            rest = &rest[written..];
            self.moved += written as u64;
            self.unflushed = true;
        }
        self.consider_splice(count as u64, source, sink);
        Ok(Step::Again)
    }

    /// Counts copied bytes, and goes over to splicing after enough of them.
    fn consider_splice(&mut self, count: u64, source: &End, sink: &End) {
        let Way::Copy { copied, .. } = &mut self.way else { return };
        *copied += count;
        if *copied < SPLICE_AFTER {
            return;
        }
        *copied = 0; // where there is no pipe to be had now, there may be later
        let plain = source.stream.plain_fd().is_some() && sink.stream.plain_fd().is_some();
        if plain && let Some(pipe) = Pipe::new() {
            self.way = Way::Splice(pipe);
        }
    }

    /// Fills the pipe once. `before` is what was moved before this turn.
    fn splice(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut End,
        before: u64,
    ) -> Result<Step, Failure> {
        let Way::Splice(pipe) = &mut self.way else { return Ok(Step::Again) };
        match source.poll_read_call(cx, |fd| pipe.fill(fd)) {
            Poll::Ready(Ok(0)) => self.state = State::Ending,
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) if cannot_splice(&error) => {
                self.way = Way::CopyOnly { chunk: MAX_CHUNK };
            }
            Poll::Ready(Err(error)) => return Err(Failure::Source(error)),
            Poll::Pending => {
                let moved = self.moved - before;
                if moved > 0 && moved <= SPLICE_SMALL {
                    self.way = Way::Copy { chunk: MIN_CHUNK, copied: 0 };
                }
                return Ok(Step::Stop(Progress::WaitsForSource));
            }
        }
        Ok(Step::Again)
    }

    /// Goes back to copying for good, with what is in the pipe.
    fn unsplice(&mut self) -> io::Result<()> {
        let copy = Way::CopyOnly { chunk: MAX_CHUNK };
        if let Way::Splice(pipe) = std::mem::replace(&mut self.way, copy) {
            self.pending = pipe.into_bytes()?;
        }
        Ok(())
    }
}

impl Failure {
    /// Names the sides.
    pub(super) fn on(self, source: Side, sink: Side) -> Fault {
        match self {
            Self::Source(error) => Fault { side: source, error },
            Self::Sink(error) => Fault { side: sink, error },
        }
    }
}

/// Whether splice(2) does not work between such descriptors here.
fn cannot_splice(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM)
    )
}
