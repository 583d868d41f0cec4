//! The buffers between the threads that log and the one that writes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::Thread;

use jiff::Zoned;

use super::lock;
use crate::sink::Sink;

/// A buffer that reaches this is written at once.
pub(crate) const NUDGE_BYTES: usize = 64 * 1024;
/// A buffer above this takes no more lines.
pub(crate) const LIMIT_BYTES: usize = 1024 * 1024;

/// One log's way to its sink: a buffer for each shard.
#[derive(Debug)]
pub(crate) struct Channel {
    slots: Box<[Slot]>,
    max_lines: usize,
    sink: Arc<Sink>,
    dropped: AtomicU64,
    writer: Thread,
}

/// Two buffers that change places, so that nothing is allocated in the steady state. On cache
/// lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    filling: Mutex<Filling>,
    /// Only the writer takes this lock.
    draining: Mutex<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Filling {
    bytes: Vec<u8>,
    lines: usize,
}

impl Channel {
    /// With `shards` buffers of at most `max_lines` lines each.
    pub(crate) fn new(shards: usize, max_lines: usize, sink: Arc<Sink>, writer: Thread) -> Self {
        let slots = (0..shards).map(|_| Slot::default()).collect();
        Self { slots, max_lines, sink, dropped: AtomicU64::new(0), writer }
    }

    /// The sink it leads to.
    pub(crate) fn sink(&self) -> &Sink {
        &self.sink
    }

    /// How many lines were lost, for want of room or because they could not be written.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Has `render` append one line, line feed included, or drops the line if there is no room.
    ///
    /// # Panics
    /// If there are not that many shards.
    pub(crate) fn append(&self, shard: usize, render: impl FnOnce(&mut Vec<u8>)) {
        let mut filling = lock(&self.slots[shard].filling);
        let before = filling.bytes.len();
        if before >= LIMIT_BYTES || filling.lines >= self.max_lines {
            drop(filling);
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        render(&mut filling.bytes);
        filling.lines += 1;
        let crossed = before < NUDGE_BYTES && filling.bytes.len() >= NUDGE_BYTES;
        let half_full = filling.lines == self.max_lines / 2;
        drop(filling);
        if crossed || half_full {
            self.writer.unpark();
        }
    }

    /// Writes what the buffers hold. Called by the writer's thread only.
    pub(crate) fn drain(&self, now: &Zoned, compress: &mut Vec<PathBuf>) {
        for slot in &self.slots {
            let mut bytes = lock(&slot.draining);
            let lines = {
                let mut filling = lock(&slot.filling);
                std::mem::swap(&mut filling.bytes, &mut *bytes);
                std::mem::take(&mut filling.lines)
            };
            if bytes.is_empty() {
                continue;
            }
            if !self.sink.write(&bytes, now, compress) {
                self.dropped.fetch_add(lines as u64, Relaxed);
            }
            // A burst must not hold its memory for ever.
            if bytes.len() < NUDGE_BYTES && bytes.capacity() > 4 * NUDGE_BYTES {
                bytes.shrink_to(NUDGE_BYTES);
            }
            bytes.clear();
        }
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| lock(&slot.filling).bytes.is_empty())
    }
}
