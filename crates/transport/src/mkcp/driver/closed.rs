//! Conversations that were over not long ago: what still comes for them opens none.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::Key;

/// v2ray goes on for up to 8 s after it has closed, and waits 15 s before that.
const REMEMBERED: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Closed {
    keys: HashSet<Key>,
    order: VecDeque<(Instant, Key)>,
    limit: usize,
}

impl Closed {
    pub(super) fn new(limit: usize) -> Self {
        Self { keys: HashSet::new(), order: VecDeque::new(), limit }
    }

    pub(super) fn insert(&mut self, key: Key, now: Instant) {
        self.forget(now);
        if self.keys.insert(key) {
            self.order.push_back((now, key));
        }
    }

    pub(super) fn contains(&mut self, key: &Key, now: Instant) -> bool {
        self.forget(now);
        self.keys.contains(key)
    }

    fn forget(&mut self, now: Instant) {
        while let Some((since, key)) = self.order.front()
            && (*since + REMEMBERED <= now || self.order.len() > self.limit)
        {
            self.keys.remove(key);
            self.order.pop_front();
        }
    }
}
