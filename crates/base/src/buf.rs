//! A byte buffer that is filled at the end and consumed at the front, and its free list.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that were read and not yet consumed, with room for more behind them.
///
/// The storage is zeroed once, when it is made, so that reading into it needs no `unsafe`; it is
/// then reused in place for as long as the connection has something to read.
#[derive(Debug, Default)]
pub struct Buf {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buf {
    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity].into_boxed_slice(), start: 0, end: 0 }
    }

    /// How many unread bytes it holds.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether it holds no unread bytes.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How many bytes it can hold in all.
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// The unread bytes.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The unread bytes, to be changed in place.
    pub fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// The room behind the unread bytes. Call [`Buf::compact`] first where more is wanted.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Says that `count` bytes were written to [`Buf::room`].
    ///
    /// # Panics
    /// If there was less room than that.
    pub fn filled(&mut self, count: usize) {
        assert!(self.end + count <= self.bytes.len(), "more was filled than there was room for");
        self.end += count;
    }

    /// Drops `count` unread bytes from the front.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "more was consumed than there was");
        self.start += count;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Moves the unread bytes to the front, so that all free space is room.
    pub fn compact(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Grows the storage to `capacity`, keeping what is unread. Never shrinks.
    pub fn grow(&mut self, capacity: usize) {
        if capacity > self.bytes.len() {
            let mut bytes = vec![0; capacity].into_boxed_slice();
            let len = self.len();
            bytes[..len].copy_from_slice(self.unread());
            *self = Self { bytes, start: 0, end: len };
        }
    }

    /// Appends bytes, growing the storage where it must.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.bytes.len() - self.end < bytes.len() {
            self.make_room(bytes.len());
        }
        let end = self.end + bytes.len();
        self.bytes[self.end..end].copy_from_slice(bytes);
        self.end = end;
    }

    #[cold]
    fn make_room(&mut self, count: usize) {
        self.compact();
        let wanted = self.end + count;
        if wanted > self.bytes.len() {
            self.grow(wanted.next_power_of_two());
        }
    }

    /// Drops unread bytes from the end, so that `len` are left; nothing where there are fewer.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start + len);
    }

    /// Drops all unread bytes.
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

/// A worker's free list of buffers of one size.
///
/// A buffer that was grown past that size, or that comes back when the list is full, is freed.
#[derive(Debug, Clone)]
pub struct BufPool {
    free: Rc<RefCell<Vec<Buf>>>,
    /// What was lent and has come back.
    returned: Arc<Mutex<Vec<Buf>>>,
    /// The fewest that were free since [`BufPool::trim`] was last called: nobody missed these.
    spare: Rc<Cell<usize>>,
    size: usize,
    keep: usize,
}

impl BufPool {
    /// A pool of buffers of `size` bytes that keeps at most `keep` of them.
    pub fn new(size: usize, keep: usize) -> Self {
        let (free, returned, spare) = Default::default();
        Self { free, returned, spare, size, keep }
    }

    /// An empty buffer.
    pub fn take(&self) -> Buf {
        let mut free = self.free.borrow_mut();
        if free.is_empty() {
            self.take_back(&mut free);
        }
        let buf = free.pop().unwrap_or_else(|| Buf::with_capacity(self.size));
        self.spare.set(self.spare.get().min(free.len()));
        buf
    }

    /// Frees the buffers that were not needed since the last call, so that memory goes back after a rush.
    pub fn trim(&self) {
        let mut free = self.free.borrow_mut();
        let spare = self.spare.get().min(free.len());
        free.drain(..spare); // the cold ones
        self.take_back(&mut free);
        self.spare.set(free.len());
    }

    /// Takes a buffer back; what it held is dropped.
    pub fn give(&self, mut buf: Buf) {
        let mut free = self.free.borrow_mut();
        if buf.capacity() == self.size && free.len() < self.keep {
            buf.clear();
            free.push(buf);
        }
    }

    /// Lends out what is unread in `buf`, as a value of its own. The buffer comes back when that is dropped.
    pub fn lend(&self, buf: Buf) -> Lent {
        let is_own = buf.capacity() == self.size;
        Lent { buf, home: is_own.then(|| Arc::clone(&self.returned)) }
    }

    /// Moves what has come back to the free ones, as far as these may be kept.
    fn take_back(&self, free: &mut Vec<Buf>) {
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        free.append(&mut returned);
        free.truncate(self.keep);
    }

    /// The size of the buffers, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// The bytes of a buffer that was lent out, which may go to another thread; see [`BufPool::lend`].
#[derive(Debug)]
pub struct Lent {
    buf: Buf,
    /// `None` = the buffer has another size than the pool's.
    home: Option<Arc<Mutex<Vec<Buf>>>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.buf.unread()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            self.buf.clear();
            let buf = std::mem::take(&mut self.buf);
            home.lock().unwrap_or_else(PoisonError::into_inner).push(buf);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_unread_bytes_through_compaction_and_growth() {
        let mut buf = Buf::with_capacity(8);
        buf.extend(b"abcdef");
        buf.consume(4);
        buf.extend(b"ghijkl");
        assert_eq!(buf.unread(), b"efghijkl");
        assert_eq!(buf.capacity(), 8);
        buf.extend(b"m");
        assert_eq!(buf.unread(), b"efghijklm");
        buf.consume(9);
        assert!(buf.is_empty());
    }

    #[test]
    fn the_pool_gives_back_what_nobody_needs() {
        let pool = BufPool::new(16, 100);
        let held: Vec<_> = (0..10).map(|_| pool.take()).collect();
        held.into_iter().for_each(|buf| pool.give(buf));
        pool.trim();
        assert_eq!(pool.free.borrow().len(), 10, "all were needed a moment ago");
        let (one, two) = (pool.take(), pool.take());
        pool.give(one);
        pool.give(two);
        pool.trim();
        assert_eq!(pool.free.borrow().len(), 2);
        pool.trim();
        assert_eq!(pool.free.borrow().len(), 0);
    }

    #[test]
    fn what_was_lent_comes_back() {
        let pool = BufPool::new(16, 1);
        let mut buf = pool.take();
        buf.extend(b"secret");
        buf.consume(1);
        let place = buf.unread().as_ptr_range().end;
        let lent = pool.lend(buf);
        assert_eq!(lent.as_ref(), b"ecret");
        drop(lent);
        let mut again = pool.take();
        assert!(again.is_empty());
        again.extend(b"public");
        assert_eq!(again.unread().as_ptr_range().end, place, "it is the same");
        drop(pool.lend(again));
        drop(pool.lend(Buf::with_capacity(16)));
        drop(pool.lend(Buf::with_capacity(32)));
        pool.trim();
        assert_eq!(pool.free.borrow().len(), 1, "not more are kept than the pool may keep");
        assert_eq!(pool.take().capacity(), 16);
    }

    #[test]
    fn the_pool_hands_out_what_it_got_back() {
        let pool = BufPool::new(16, 1);
        let mut buf = pool.take();
        buf.extend(b"secret");
        pool.give(buf);
        let again = pool.take();
        assert!(again.is_empty());
        let mut grown = pool.take();
        grown.grow(32);
        pool.give(grown);
        assert_eq!(pool.take().capacity(), 16);
    }
}
