use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

use rosn_config::checked::Roller;
use tracing::{debug, error, info, trace, warn};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

struct Fixture {
    _directory: tempfile::TempDir,
    path: PathBuf,
    writer: Writer,
    log: Log,
}

impl Fixture {
    fn new(level: LogLevel) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rosn.log");
        let writer = Writer::start().unwrap();
        let target = LogTarget::File(path.clone());
        let config = checked::Log { target, level, roller: Roller::default() };
        let log = Log::start(&writer, &config).unwrap();
        Self { _directory: directory, path, writer, log }
    }

    /// The lines that `f` logs, each without its time, which is checked.
    fn lines(&self, f: impl FnOnce()) -> Vec<String> {
        let before = std::fs::read_to_string(&self.path).unwrap().len();
        tracing::subscriber::with_default(self.log.subscriber(), f);
        assert!(self.writer.flush(PATIENCE));
        let text = std::fs::read_to_string(&self.path).unwrap();
        text[before..]
            .lines()
            .map(|line| {
                let (time, rest) = line.split_at("2026-11-21 08:00:00,123 ".len());
                let shape: String =
                    time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
                assert_eq!(shape, "0000-00-00 00:00:00,000 ");
                rest.to_owned()
            })
            .collect()
    }
}

fn one_of_each() {
    trace!("a");
    debug!("b");
    info!("c");
    warn!("d");
    error!("e");
    error!(fatal = true, "f");
}

#[test]
fn a_line_has_mosns_layout() {
    let f = Fixture::new(LogLevel::Trace);
    let lines = f.lines(|| {
        one_of_each();
        error!(code = "cluster.config", cluster = "c1", hosts = 0, "cluster {} is empty", "c1");
        info!(text = "two words", display = %"a=b", debug = ?"x\ny", none = "", "line\nfeed\x1b");
    });
    assert_eq!(
        lines,
        [
            "[TRACE] a",
            "[DEBUG] b",
            "[INFO] c",
            "[WARN] d",
            "[ERROR] e",
            "[FATAL] f",
            "[ERROR] [cluster.config] cluster c1 is empty cluster=c1 hosts=0",
            r#"[INFO] line\x0afeed\x1b text="two words" display="a=b" debug="x\ny" none="""#,
        ]
    );
}

#[test]
fn the_level_changes_at_run_time() {
    let f = Fixture::new(LogLevel::Warn);
    assert_eq!(f.lines(one_of_each), ["[WARN] d", "[ERROR] e", "[FATAL] f"]);
    for (level, count) in [
        (LogLevel::Fatal, 1),
        (LogLevel::Error, 2),
        (LogLevel::Info, 4),
        (LogLevel::Debug, 5),
        (LogLevel::Trace, 6),
        (LogLevel::Warn, 3),
    ] {
        f.log.set_level(level);
        assert_eq!(f.log.level(), level);
        assert_eq!(f.lines(one_of_each).len(), count, "{level:?}");
    }
    // Also for a subscriber that is in use.
    let lines = f.lines(|| {
        info!("not yet");
        f.log.set_level(LogLevel::Info);
        info!("now");
    });
    assert_eq!(lines, ["[INFO] now"]);
}

#[test]
fn libraries_tell_of_frames_with_trace_and_of_bad_peers_with_debug() {
    let chat = || {
        debug!(target: "h2::codec::framed_write", "send");
        debug!(target: "h2o", "own");
        warn!(target: "h2::proto", "flood");
    };
    let f = Fixture::new(LogLevel::Info);
    assert_eq!(f.lines(chat), [""; 0], "a peer would fill the log");
    f.log.set_level(LogLevel::Debug);
    assert_eq!(f.lines(chat), ["[DEBUG] own", "[WARN] flood"]);
    f.log.set_level(LogLevel::Trace);
    assert_eq!(f.lines(chat), ["[DEBUG] send", "[DEBUG] own", "[WARN] flood"]);
}

#[test]
fn it_can_be_turned_off_and_is_known_by_its_path() {
    let f = Fixture::new(LogLevel::Info);
    let path = f.path.to_str().unwrap();
    assert!(f.log.is_named("") && f.log.is_named(path) && !f.log.is_named("/other"));
    assert_eq!(f.log.path(), path);
    f.log.set_enabled(false);
    assert!(!f.log.enabled());
    assert!(f.lines(one_of_each).is_empty());
    assert!(f.writer.set_enabled(path, true));
    assert_eq!(f.lines(one_of_each).len(), 4);
}

#[test]
fn too_many_lines_are_dropped_and_told_of() {
    let f = Fixture::new(LogLevel::Info);
    let lines = f.lines(|| {
        {
            let _stall = f.log.inner.channel.sink().stall();
            info!("first");
            while !f.log.inner.channel.is_empty() {
                std::thread::yield_now();
            }
            (0..MAX_LINES + 7).for_each(|n| info!("line {n}"));
            assert_eq!(f.log.dropped(), 7);
        }
        assert!(f.writer.flush(PATIENCE));
        info!("last");
        info!("very last");
    });
    assert_eq!(lines.len(), 1 + MAX_LINES + 3);
    let end = &lines[lines.len() - 3..];
    assert_eq!(end, ["[WARN] 7 lines of this log were dropped", "[INFO] last", "[INFO] very last"]);
}

#[test]
fn a_value_that_logs_while_it_is_shown_does_no_harm() {
    struct Chatty;
    impl std::fmt::Display for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            info!("inner");
            f.write_str("chatty")
        }
    }
    let f = Fixture::new(LogLevel::Info);
    // tracing leaves out what is logged inside an event, or the log shows it: it must not hang.
    let lines = f.lines(|| info!(value = %Chatty, "outer"));
    assert_eq!(lines.last().unwrap(), "[INFO] outer value=chatty");
}

#[test]
fn other_layers_beside_it_keep_their_own_level() {
    struct Count(Arc<AtomicU64>);
    impl<S: Subscriber> Layer<S> for Count {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    let f = Fixture::new(LogLevel::Error);
    let count = Arc::new(AtomicU64::new(0));
    let both = tracing_subscriber::registry().with(f.log.layer()).with(Count(Arc::clone(&count)));
    tracing::subscriber::with_default(both, one_of_each);
    assert_eq!(count.load(Relaxed), 6);
    assert!(f.writer.flush(PATIENCE));
    assert_eq!(std::fs::read_to_string(&f.path).unwrap().lines().count(), 2);
}

#[test]
fn syslog_gets_the_severity_of_each_line() {
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    daemon.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = format!("syslog://{}/edge", daemon.local_addr().unwrap());
    let writer = Writer::start().unwrap();
    let config = checked::Log {
        target: LogTarget::Syslog(Some(address.clone())),
        level: LogLevel::Trace,
        roller: Roller::default(),
    };
    let log = Log::start(&writer, &config).unwrap();
    assert!(log.is_named(&address) && writer.set_enabled(&address, true));
    assert_eq!(log.path(), address);
    tracing::subscriber::with_default(log.subscriber(), one_of_each);
    assert!(writer.flush(PATIENCE));
    let pid = std::process::id();
    for (priority, end) in [
        (135, "[TRACE] a"),
        (135, "[DEBUG] b"),
        (134, "[INFO] c"),
        (132, "[WARN] d"),
        (131, "[ERROR] e"),
        (130, "[FATAL] f"),
    ] {
        let mut datagram = [0; 1000];
        let size = daemon.recv(&mut datagram).unwrap();
        let text = std::str::from_utf8(&datagram[..size]).unwrap();
        assert!(text.starts_with(&format!("<{priority}>")), "{text}");
        assert!(text.ends_with(&format!(" edge[{pid}]: {end}")), "{text}");
    }
}

#[test]
fn colour_marks_the_level_only() {
    let mut out = Vec::new();
    let now: Zoned = "2026-11-21T08:00:00.1239+00:00[+00:00]".parse().unwrap();
    Line::notice("x").write(&Layout::Colour, &now, &mut out);
    let expected = "2026-11-21 08:00:00,123 [\x1b[33mWARN\x1b[0m] x\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
