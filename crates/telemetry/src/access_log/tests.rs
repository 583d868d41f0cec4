use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use rosn_config::checked::AccessLogFormat;

use super::*;
use crate::writer::LIMIT_BYTES;

const PATIENCE: Duration = Duration::from_secs(60);

/// Every variable has this value, or none has one.
struct Values<'a>(Option<&'a [u8]>);

impl Variables for Values<'_> {
    fn write(&self, _: &Variable, out: &mut Vec<u8>) -> bool {
        self.0.inspect(|value| out.extend_from_slice(value)).is_some()
    }
}

fn text(template: &str) -> AccessLogFormat {
    AccessLogFormat::Text(parse(template))
}

fn parse(template: &str) -> Template {
    Template::parse(template).unwrap()
}

fn open(writer: &Writer, path: &Path, format: AccessLogFormat, shards: usize) -> Arc<AccessLog> {
    let config = checked::AccessLog { path: path.to_owned(), format };
    AccessLog::open(writer, &config, Roller::default(), shards).unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn lines_of_all_shards_and_listeners_reach_the_file_they_share() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/on/the/way/access.log");
    let writer = Writer::start().unwrap();
    let one = open(&writer, &path, text("one %start_time%"), 2);
    let two = open(
        &writer,
        &directory.path().join("made/./on/the/way/access.log"),
        text("two %start_time%"),
        1,
    );
    std::thread::scope(|scope| {
        for shard in 0..2 {
            let one = &one;
            scope.spawn(move || {
                for n in 0..5000 {
                    one.write(shard, &Values(Some(format!("{shard}/{n}").as_bytes())));
                }
            });
        }
        scope.spawn(|| (0..5000).for_each(|_| two.write(0, &Values(None))));
    });
    assert!(writer.flush(PATIENCE));
    let text = read(&path);
    assert_eq!(text.lines().count(), 15_000);
    assert_eq!(text.lines().filter(|line| *line == "two -").count(), 5000);
    for shard in 0..2 {
        let prefix = format!("one {shard}/");
        let numbers: Vec<u32> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix).map(|n| n.parse().unwrap()))
            .collect();
        assert!(numbers.into_iter().eq(0..5000), "all lines of a shard, in order");
    }
    assert_eq!(one.dropped() + two.dropped(), 0);
}

#[test]
fn what_logrotate_moved_away_is_left_alone_after_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let (path, moved) = (directory.path().join("a.log"), directory.path().join("a.log.1"));
    let writer = Writer::start().unwrap();
    let log = open(&writer, &path, text("%start_time%"), 1);
    log.write(0, &Values(Some(b"one")));
    assert!(writer.flush(PATIENCE));
    std::fs::rename(&path, &moved).unwrap();
    log.write(0, &Values(Some(b"two")));
    writer.reopen();
    assert!(writer.flush(PATIENCE));
    log.write(0, &Values(Some(b"three")));
    assert!(writer.flush(PATIENCE));
    assert_eq!((read(&moved), read(&path)), ("one\ntwo\n".to_owned(), "three\n".to_owned()));

    // A path that cannot be opened: the old file stays.
    std::fs::rename(&path, directory.path().join("a.log.2")).unwrap();
    std::fs::create_dir(&path).unwrap();
    writer.reopen();
    assert!(writer.flush(PATIENCE));
    log.write(0, &Values(Some(b"four")));
    assert!(writer.flush(PATIENCE));
    assert_eq!(read(directory.path().join("a.log.2")), "three\nfour\n");
}

#[test]
fn a_stalled_target_costs_bounded_memory_and_lines_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    let writer = Writer::start().unwrap();
    let log = open(&writer, &path, text("%start_time%"), 2);
    let line = [b'x'; 1023];
    let fits = LIMIT_BYTES as u64 / 1024;
    {
        // The writer stands still for as long as this is held.
        let _stall = log.channel.as_ref().unwrap().sink().stall();
        log.write(0, &Values(Some(b"first\n")));
        while !log.channel.as_ref().unwrap().is_empty() {
            std::thread::yield_now();
        }
        for _ in 0..fits + 10 {
            log.write(0, &Values(Some(&line)));
        }
        log.write(1, &Values(Some(b"the other shard has room")));
    }
    assert_eq!(log.dropped(), 10);
    assert!(writer.flush(PATIENCE));
    assert_eq!(read(&path).lines().count() as u64, fits + 2);
    log.write(0, &Values(Some(b"goes on")));
    drop(writer);
    assert!(read(&path).ends_with("goes on\n"));
    let mut seen = Vec::new();
    log.visit(&mut |key, value| seen.push((key, value)));
    assert_eq!(seen, [("dropped", Value::Counter(10))]);
}

#[test]
fn a_full_disk_is_counted() {
    let writer = Writer::start().unwrap();
    let log = open(&writer, Path::new("/dev/full"), text("%start_time%"), 1);
    log.write(0, &Values(None));
    log.write(0, &Values(None));
    assert!(writer.flush(PATIENCE));
    assert_eq!(log.dropped(), 2);
}

#[test]
fn lines_of_a_log_that_a_reload_dropped_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    let writer = Writer::start().unwrap();
    for _ in 0..20 {
        let log = open(&writer, &path, text("%start_time%"), 1);
        log.write(0, &Values(Some(b"x")));
    }
    assert!(writer.flush(PATIENCE));
    assert!(writer.flush(PATIENCE));
    assert_eq!(read(&path).lines().count(), 20);
    assert_eq!(writer.channels(), 0);
}

#[test]
fn nothing_is_rendered_for_dev_null_or_while_off() {
    struct Untouched;
    impl Variables for Untouched {
        fn write(&self, _: &Variable, _: &mut Vec<u8>) -> bool {
            panic!("rendered")
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    let writer = Writer::start().unwrap();
    open(&writer, Path::new("/dev/null"), text("%start_time%"), 1).write(0, &Untouched);
    let log = open(&writer, &path, text("%start_time%"), 1);
    assert!(writer.set_enabled(path.to_str().unwrap(), false));
    log.write(0, &Untouched);
    assert!(writer.set_enabled(path.to_str().unwrap(), true));
    log.write(0, &Values(Some(b"on")));
    assert!(writer.flush(PATIENCE));
    assert_eq!(read(&path), "on\n");
    assert!(!writer.set_enabled("/no/such.log", true));
}

#[test]
fn a_log_that_cannot_be_opened_says_which_and_why() {
    let writer = Writer::start().unwrap();
    let config = checked::AccessLog { path: "/proc/nope/a.log".into(), format: text("x") };
    let error = AccessLog::open(&writer, &config, Roller::default(), 1).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot open the log /proc/nope/a.log: "), "{text}");
}

#[test]
fn a_peer_cannot_forge_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    let writer = Writer::start().unwrap();
    // A tab of the format stays.
    let log = open(&writer, &path, text("a\t%start_time%"), 1);
    log.write(0, &Values(Some(b"x\r\n127.0.0.1 GET / 200\x1b[1A")));
    assert!(writer.flush(PATIENCE));
    assert_eq!(read(&path), "a\tx\\x0d\\x0a127.0.0.1 GET / 200\\x1b[1A\n");
}

#[test]
fn a_line_of_json_keeps_its_order() {
    let format = Format::new(&AccessLogFormat::Json(vec![
        ("z\"".to_owned(), parse("%start_time%")),
        ("a".to_owned(), parse("at %start_time% \"")),
    ]));
    let mut out = Vec::new();
    format.render(&Values(None), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"z\"":"-","a":"at - \""}"#);
    let mut out = Vec::new();
    Format::Json(Vec::new()).render(&Values(None), &mut out);
    assert_eq!(out, b"{}");
}

proptest! {
    #[test]
    fn a_line_of_json_is_json_whatever_the_values_are(value: Vec<u8>, key: String) {
        let fields = vec![
            (key.clone(), parse("%start_time%")),
            ("other".to_owned(), parse("<%start_time%>")),
        ];
        let mut out = Vec::new();
        Format::new(&AccessLogFormat::Json(fields)).render(&Values(Some(&value)), &mut out);
        prop_assert!(!out.contains(&b'\n'));
        let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
        if key != "other" {
            prop_assert_eq!(&line[&key], &*String::from_utf8_lossy(&value));
        }
        prop_assert_eq!(&line["other"], &*format!("<{}>", String::from_utf8_lossy(&value)));
    }
}
