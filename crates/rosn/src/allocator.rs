//! jemalloc, set up for threads that live as long as the process.

use tikv_jemalloc_ctl::{Access, AsName};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Freed memory goes back to the system after this many milliseconds, from a thread of the
/// allocator's own.
const DECAY_MILLIS: isize = 5_000;

/// Sets what can be set at run time. The first arena exists already, the others take the default.
pub(crate) fn tune() {
    for setting in [
        &b"arenas.dirty_decay_ms\0"[..],
        b"arenas.muzzy_decay_ms\0",
        b"arena.0.dirty_decay_ms\0",
        b"arena.0.muzzy_decay_ms\0",
    ] {
        // Without it the allocator's default (10 s) holds: slower to give back, nothing worse.
        let _ = setting.name().write(DECAY_MILLIS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_takes_the_settings() {
        tune();
        for setting in [&b"arenas.dirty_decay_ms\0"[..], b"arena.0.muzzy_decay_ms\0"] {
            let value: isize = setting.name().read().unwrap();
            assert_eq!(value, DECAY_MILLIS);
        }
        assert!(tikv_jemalloc_ctl::background_thread::read().unwrap());
    }
}
