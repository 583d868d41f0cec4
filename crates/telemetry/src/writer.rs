//! The thread that writes all logs.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use jiff::Zoned;
use rosn_config::checked::{LogTarget, Roller};

use crate::gzip::Gzip;
use crate::sink::{OpenError, Sink, canonical, target_of};

mod channel;

pub(crate) use channel::Channel;
#[cfg(test)]
pub(crate) use channel::LIMIT_BYTES;

/// How long a line may wait in a buffer.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long dropping a [`Writer`] waits for the last lines.
const DROP_PATIENCE: Duration = Duration::from_secs(1);

/// The thread that writes all logs, and the targets it writes to.
///
/// Threads that log only append to buffers in memory. This one thread writes them out every
/// 100 ms, or at once when a buffer passes 64 KiB. A target that blocks (a pipe that nobody reads,
/// a dead disk) makes all logs wait and then drop lines; it never makes a request wait.
///
/// Dropping it writes what is buffered and ends the thread, waiting at most a second.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    channels: Mutex<Vec<Arc<Channel>>>,
    sinks: Mutex<Vec<Weak<Sink>>>,
    reopen: AtomicBool,
    passes: Mutex<Passes>,
    pass_done: Condvar,
}

/// Which passes over the buffers are wanted and done; a pass does all that were wanted when it
/// began.
#[derive(Debug, Default)]
struct Passes {
    wanted: u64,
    done: u64,
    /// The next pass is the last one.
    stop: bool,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new().name("log-writer".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run()
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Writes what has been logged up to now. Returns false if that takes longer than `patience`.
    pub fn flush(&self, patience: Duration) -> bool {
        self.pass(patience, false)
    }

    fn pass(&self, patience: Duration, stop: bool) -> bool {
        let mut passes = lock(&self.shared.passes);
        passes.wanted += 1;
        passes.stop = stop;
        let ticket = passes.wanted;
        self.thread().unpark();
        let (passes, _) = self
            .shared
            .pass_done
            .wait_timeout_while(passes, patience, |passes| passes.done < ticket)
            .unwrap_or_else(PoisonError::into_inner);
        passes.done >= ticket
    }

    /// Has all files opened again by their paths, as after logrotate has moved them away. It is
    /// done by the thread, soon; [`flush`](Self::flush) waits for it. A file that cannot be opened
    /// stays as it is, and the server log says so.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.thread().unpark();
    }

    /// Turns the logs that go to `path` on or off, as MOSN's `enable_log` and `disable_log`.
    /// Returns false if no open log has that path.
    pub fn set_enabled(&self, path: &str, enabled: bool) -> bool {
        let sinks = self.shared.open_sinks();
        let target = target_of(path.as_ref());
        let mut found = false;
        for sink in sinks.iter().filter(|sink| *sink.target() == target) {
            sink.set_enabled(enabled);
            found = true;
        }
        found
    }

    /// A new log with `shards` buffers of at most `max_lines` lines. A target that is open already
    /// is shared, and takes the new roller.
    pub(crate) fn channel(
        &self,
        target: &LogTarget,
        roller: Roller,
        shards: usize,
        max_lines: usize,
    ) -> Result<Arc<Channel>, OpenError> {
        let sink = self.shared.sink(target, roller)?;
        let channel = Arc::new(Channel::new(shards, max_lines, sink, self.thread().clone()));
        lock(&self.shared.channels).push(Arc::clone(&channel));
        Ok(channel)
    }

    #[cfg(test)]
    pub(crate) fn channels(&self) -> usize {
        lock(&self.shared.channels).len()
    }

    fn thread(&self) -> &Thread {
        self.thread.as_ref().expect("the thread is taken only by drop").thread()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let written = self.pass(DROP_PATIENCE, true);
        if let Some(thread) = self.thread.take()
            && written
        {
            // It ends after the pass that was just waited for. A panic of it was reported.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut gzip = Gzip::default();
        loop {
            let stop = lock(&self.passes).stop;
            let began = Instant::now();
            let busy = self.pass(&mut gzip);
            if stop {
                return;
            }
            if !busy && !self.is_wanted() {
                std::thread::park_timeout(INTERVAL.saturating_sub(began.elapsed()));
            }
        }
    }

    fn is_wanted(&self) -> bool {
        let passes = lock(&self.passes);
        passes.wanted > passes.done
    }

    /// Writes all buffers, then does what else is asked for. Returns whether work is left.
    fn pass(&self, gzip: &mut Gzip) -> bool {
        let wanted = lock(&self.passes).wanted;
        let reopen = self.reopen.swap(false, Ordering::Acquire);
        let now = Zoned::now();
        let channels = lock(&self.channels).clone();
        let mut compress: Vec<PathBuf> = Vec::new();
        for channel in &channels {
            channel.drain(&now, &mut compress);
        }
        drop(channels);
        // Nobody can append to a channel that only this list holds.
        lock(&self.channels).retain(|c| Arc::strong_count(c) > 1 || !c.is_empty());
        if reopen {
            self.open_sinks().iter().for_each(|sink| sink.reopen(&now));
        }
        gzip.add(compress);
        let busy = gzip.step().unwrap_or_else(|error| {
            // One that is gone was removed for its age, or by hand.
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, "cannot compress a rolled log");
            }
            true
        });
        lock(&self.passes).done = wanted;
        self.pass_done.notify_all();
        busy
    }

    /// The open sink of a target, opened if need be.
    fn sink(&self, target: &LogTarget, roller: Roller) -> Result<Arc<Sink>, OpenError> {
        let target = canonical(target.clone());
        let mut sinks = lock(&self.sinks);
        sinks.retain(|sink| sink.strong_count() > 0);
        let open = sinks.iter().filter_map(Weak::upgrade).find(|sink| *sink.target() == target);
        if let Some(sink) = open {
            sink.set_roller(roller);
            return Ok(sink);
        }
        let sink = Arc::new(Sink::open(target, roller, &Zoned::now())?);
        sinks.push(Arc::downgrade(&sink));
        Ok(sink)
    }

    fn open_sinks(&self) -> Vec<Arc<Sink>> {
        lock(&self.sinks).iter().filter_map(Weak::upgrade).collect()
    }
}

/// Locks, whether or not a holder panicked: a broken line is better than no log.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
