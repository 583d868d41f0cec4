//! The last error's text, kept without a lock.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::snapshot::Phase;
use crate::ErrorRef;

/// How many bytes of a text are kept.
const TEXT: usize = 200;

/// How often a reader tries again that met a writer.
const READS: usize = 100;

/// A writer marks that it writes, writes, and counts on; a reader that saw the same count before and after saw no half
/// of a text. Of two that write at a time, the second leaves no text: either is as much the last error as the other.
#[derive(Debug, Default)]
pub(super) struct LastFailure {
    /// A count, and the bits below.
    state: AtomicU64,
    /// The phase and the length of the text.
    head: AtomicU64,
    text: [AtomicU64; TEXT / 8],
}

const WRITING: u64 = 1;
const FROZEN: u64 = 1 << 63;
const COUNT_ON: u64 = 2;

impl LastFailure {
    pub(super) fn set(&self, phase: Phase, error: ErrorRef<'_>) {
        // Displaying runs code of others: before anything is marked.
        let mut text = Text { bytes: [0; TEXT], len: 0 };
        let _ = write!(text, "{error}");
        let state = self.state.load(Ordering::Relaxed);
        if state & (WRITING | FROZEN) != 0 || !self.swap(state, state | WRITING) {
            return;
        }
        fence(Ordering::Release);
        self.head.store(phase as u64 | (text.len as u64) << 8, Ordering::Relaxed);
        for (word, bytes) in self.text.iter().zip(text.bytes.as_chunks().0) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        // Where it was frozen meanwhile, it says for ever that somebody writes: nobody reads it.
        self.swap(state | WRITING, state + COUNT_ON);
    }

    fn swap(&self, from: u64, to: u64) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// `None` where there was none, or others write all the time.
    pub(super) fn read(&self) -> Option<(Phase, String)> {
        (0..READS)
            .find_map(|_| {
                let state = self.state.load(Ordering::Acquire);
                if state & WRITING != 0 {
                    std::hint::spin_loop();
                    return None;
                }
                let head = self.head.load(Ordering::Relaxed);
                let mut bytes = [0; TEXT];
                for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(&self.text) {
                    *to = word.load(Ordering::Relaxed).to_ne_bytes();
                }
                fence(Ordering::Acquire);
                let after = self.state.load(Ordering::Relaxed);
                ((state ^ after) & !FROZEN == 0).then_some((state & !FROZEN, head, bytes))
            })
            .filter(|(count, ..)| *count != 0)
            .and_then(|(_, head, bytes)| {
                let text = bytes.get(..usize::try_from(head >> 8).ok()?)?;
                Some((Phase::from_number(head & 0xff)?, String::from_utf8_lossy(text).into_owned()))
            })
    }

    pub(super) fn freeze(&self) {
        self.state.fetch_or(FROZEN, Ordering::AcqRel);
    }

    pub(super) fn reset(&mut self) {
        *self.state.get_mut() = 0;
    }
}

/// What fits of a text, in whole characters.
struct Text {
    bytes: [u8; TEXT],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            // An error may quote what a peer sent: it shall not break a line of a log.
            let c = if c.is_control() { ' ' } else { c };
            let Some(room) = self.bytes.get_mut(self.len..self.len + c.len_utf8()) else {
                return Err(fmt::Error);
            };
            c.encode_utf8(room);
            self.len += c.len_utf8();
        }
        Ok(())
    }
}
