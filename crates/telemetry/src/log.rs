//! The server log: `tracing` events as MOSN's lines.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use jiff::Zoned;
use rosn_base::stats::{Source, Value};
use rosn_config::checked::{self, LogLevel, LogTarget};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::sink::{OpenError, target_name, target_of};
use crate::writer::{Channel, Writer};

mod line;

use line::{Layout, Line};

/// Lines that may wait to be written, as MOSN's channel has entries.
const MAX_LINES: usize = 500;

/// The server log, and the handle to change it while it runs. Clones are one log.
///
/// A line is `2026-11-21 08:00:00,123 [INFO] message key=value`, in local time. An event's field
/// `code` names an alert and comes first: `[ERROR] [cluster.config] message`. The field
/// `fatal = true` makes an error a FATAL one. Control characters are written as `\xHH`.
///
/// Logging never waits: while 500 lines or 1 MiB wait to be written, further lines are dropped and
/// counted, and a line that says how many follows.
#[derive(Debug, Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    level: AtomicU8,
    layout: Layout,
    channel: Arc<Channel>,
    /// How many of the dropped lines the log has told of.
    told: AtomicU64,
}

impl Log {
    /// Opens the log. Nothing reaches it before its [`subscriber`](Self::subscriber) is installed.
    ///
    /// # Errors
    /// If the file cannot be opened or made, or there is no syslog daemon.
    pub fn start(writer: &Writer, config: &checked::Log) -> Result<Self, OpenError> {
        let channel = writer.channel(&config.target, config.roller, 1, MAX_LINES)?;
        let terminal = match config.target {
            LogTarget::Stdout => std::io::stdout().is_terminal(),
            LogTarget::Stderr => std::io::stderr().is_terminal(),
            LogTarget::Syslog(_) | LogTarget::File(_) => false,
        };
        // no-color.org: any value but the empty one.
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let layout = match channel.sink().header() {
            Some(header) => Layout::Syslog(header.clone()),
            None if terminal && !no_colour => Layout::Colour,
            None => Layout::Plain,
        };
        let level = AtomicU8::new(config.level as u8);
        let inner = Inner { level, layout, channel, told: AtomicU64::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What turns `tracing` events into lines of this log. The binary installs it with
    /// `tracing::subscriber::set_global_default`, tests with `with_default`.
    pub fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        tracing_subscriber::registry().with(self.layer())
    }

    /// The same as a layer, to be put together with others. The level filters this layer only.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        LogLayer(self.clone()).with_filter(LevelOf(self.clone()))
    }

    /// The present level.
    pub fn level(&self) -> LogLevel {
        const LEVELS: [LogLevel; 6] = [
            LogLevel::Fatal,
            LogLevel::Error,
            LogLevel::Warn,
            LogLevel::Info,
            LogLevel::Debug,
            LogLevel::Trace,
        ];
        let at = usize::from(self.inner.level.load(Relaxed));
        LEVELS[at.min(LEVELS.len() - 1)]
    }

    /// Changes the level at once, for all threads.
    pub fn set_level(&self, level: LogLevel) {
        self.inner.level.store(level as u8, Relaxed);
        // The call sites remember whether anybody wants them.
        tracing::callsite::rebuild_interest_cache();
    }

    /// Whether MOSN's admin calls mean this log by `path`: `""` is the default logger.
    pub fn is_named(&self, path: &str) -> bool {
        path.is_empty() || target_of(path.as_ref()) == *self.inner.channel.sink().target()
    }

    /// Where it goes, as a configuration writes it: a path, `stdout`, `stderr`, `syslog`, ….
    pub fn path(&self) -> String {
        target_name(self.inner.channel.sink().target())
    }

    /// Turns the log on or off.
    pub fn set_enabled(&self, enabled: bool) {
        self.inner.channel.sink().set_enabled(enabled);
    }

    /// Whether it is on.
    pub fn enabled(&self) -> bool {
        self.inner.channel.sink().is_enabled()
    }

    /// How many lines were lost: too many were waiting, or the target could not be written.
    pub fn dropped(&self) -> u64 {
        self.inner.channel.dropped()
    }

    fn filter(&self) -> LevelFilter {
        match self.level() {
            LogLevel::Fatal | LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        }
    }

    fn record(&self, event: &Event<'_>) {
        if !self.enabled() {
            return;
        }
        // Formatted before the buffer is locked: a value's Display may log as well.
        let line = Line::new(event);
        if line.level > self.level() {
            return;
        }
        let Inner { layout, channel, told, .. } = &*self.inner;
        let now = Zoned::now();
        channel.append(0, |out| {
            let dropped = channel.dropped();
            let untold = dropped - told.swap(dropped, Relaxed).min(dropped);
            if untold > 0 {
                let notice = Line::notice(&format!("{untold} lines of this log were dropped"));
                notice.write(layout, &now, out);
            }
            line.write(layout, &now, out);
        });
    }
}

impl Source for Log {
    fn visit(&self, f: &mut dyn FnMut(&'static str, Value)) {
        f("dropped", Value::Counter(self.dropped()));
    }
}

struct LogLayer(Log);

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.record(event);
    }
}

/// Lets through the events of a log's level. Spans are not shown.
struct LevelOf(Log);

/// Libraries that tell of each frame at DEBUG, and at WARN of what peers do wrong: as often as a peer likes. Their lines
/// come with TRACE and DEBUG.
const CHATTY: &[&str] = &["h2"];

impl LevelOf {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let library = metadata.target().split("::").next().unwrap_or_default();
        let level = match *metadata.level() {
            Level::DEBUG if CHATTY.contains(&library) => Level::TRACE,
            Level::WARN if CHATTY.contains(&library) => Level::DEBUG,
            level => level,
        };
        metadata.is_event() && level <= self.0.filter()
    }
}

impl<S> Filter<S> for LevelOf {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Kept by the call site until `set_level` has all of them ask again.
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.filter())
    }
}

#[cfg(test)]
mod tests;
