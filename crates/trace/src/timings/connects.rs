//! The addresses that were tried.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rosn_base::Addr;

use super::mark::Mark;
use super::snapshot::{Connect, Outcome, span};
use crate::DialId;

/// How many addresses are kept.
const KEPT: usize = 8;

/// The first few; later ones are counted only.
#[derive(Debug, Default)]
pub(super) struct Connects([Try; KEPT]);

#[derive(Debug, Default)]
struct Try {
    addr: OnceLock<Addr>,
    dial: AtomicU64,
    try_no: AtomicU32,
    /// Set last of all that belongs to the start: without it there is nothing here.
    start: Mark,
    /// Nanoseconds and the outcome.
    end: Mark,
}

impl Connects {
    /// Nobody else has this index.
    pub(super) fn began(&self, index: u64, dial: DialId, try_no: u32, addr: &Addr, at: u64) {
        let Some(kept) = usize::try_from(index).ok().and_then(|index| self.0.get(index)) else {
            return;
        };
        if kept.addr.set(addr.clone()).is_ok() {
            kept.dial.store(dial.number(), Ordering::Relaxed);
            kept.try_no.store(try_no, Ordering::Relaxed);
            kept.start.set_once(at);
        }
    }

    pub(super) fn ended(&self, dial: DialId, try_no: u32, outcome: Outcome, at: u64) {
        let is_it = |kept: &&Try| {
            kept.start.read().is_some()
                && kept.dial.load(Ordering::Relaxed) == dial.number()
                && kept.try_no.load(Ordering::Relaxed) == try_no
        };
        if let Some(kept) = self.0.iter().find(is_it) {
            kept.end.set_once(at.saturating_mul(4) | outcome as u64);
        }
    }

    pub(super) fn read(&self) -> Vec<Connect> {
        self.0.iter().filter_map(Try::read).collect()
    }

    pub(super) fn freeze(&self) {
        for kept in &self.0 {
            kept.start.freeze();
            kept.end.freeze();
        }
    }

    pub(super) fn reset(&mut self) {
        for kept in &mut self.0 {
            *kept = Try::default();
        }
    }
}

impl Try {
    fn read(&self) -> Option<Connect> {
        let end = self.end.read();
        let start = self.start.read()?;
        Some(Connect {
            addr: self.addr.get()?.clone(),
            span: span(start, end.map(|end| end / 4)),
            outcome: end.map(|end| Outcome::ALL[(end % 4) as usize]),
        })
    }
}
