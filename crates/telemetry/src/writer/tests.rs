use std::path::Path;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn channel(writer: &Writer, path: &Path, roller: Roller) -> Arc<Channel> {
    writer.channel(&LogTarget::File(path.to_owned()), roller, 1, usize::MAX).unwrap()
}

fn wait_for(mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "waited too long");
        std::thread::yield_now();
    }
}

#[test]
fn lines_are_written_without_being_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    let writer = Writer::start().unwrap();
    let channel = channel(&writer, &path, Roller::default());
    channel.append(0, |out| out.extend_from_slice(b"one\n"));
    wait_for(|| std::fs::read(&path).unwrap() == b"one\n");
}

#[test]
fn dropping_the_writer_writes_the_rest_and_ends_the_thread() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    let writer = Writer::start().unwrap();
    let channel = channel(&writer, &path, Roller::default());
    for _ in 0..100 {
        channel.append(0, |out| out.extend_from_slice(b"line\n"));
    }
    let shared = Arc::downgrade(&writer.shared);
    drop(writer);
    assert_eq!(std::fs::read(&path).unwrap().len(), 500);
    assert_eq!(shared.strong_count(), 0, "the thread has ended");
    channel.append(0, |_| {});
}

#[test]
fn flush_gives_up_on_a_stalled_target() {
    let directory = tempfile::tempdir().unwrap();
    let writer = Writer::start().unwrap();
    let channel = channel(&writer, &directory.path().join("a.log"), Roller::default());
    let stall = channel.sink().stall();
    channel.append(0, |out| out.extend_from_slice(b"one\n"));
    assert!(!writer.flush(Duration::from_millis(1)));
    drop(stall);
    assert!(writer.flush(PATIENCE));
}

#[test]
fn rolled_files_are_compressed_while_lines_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    let roller = Roller { megabytes: Some(1), hours: None, compress: true, ..Roller::default() };
    let writer = Writer::start().unwrap();
    let channel = channel(&writer, &path, roller);
    for n in 0..3u8 {
        channel.append(0, |out| {
            out.resize(1_000_000, b'0' + n);
            out.push(b'\n');
        });
        assert!(writer.flush(PATIENCE));
    }
    let names = || {
        let mut names: Vec<String> = directory
            .path()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    wait_for(|| names().len() == 3 && names().iter().filter(|n| n.ends_with(".gz")).count() == 2);
    assert_eq!(std::fs::read(&path).unwrap()[0], b'2');
    let mut text = String::new();
    let packed = std::fs::File::open(directory.path().join(&names()[1])).unwrap();
    io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut text).unwrap();
    assert_eq!(text.len(), 1_000_001);
}

#[test]
fn a_reload_changes_the_roller_of_an_open_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    let writer = Writer::start().unwrap();
    let first = channel(&writer, &path, Roller { hours: None, ..Roller::default() });
    let _second =
        channel(&writer, &path, Roller { hours: None, megabytes: Some(1), ..Roller::default() });
    for _ in 0..2 {
        first.append(0, |out| out.resize(800_000, b'\n'));
        assert!(writer.flush(PATIENCE));
    }
    assert_eq!(directory.path().read_dir().unwrap().count(), 2);
}
