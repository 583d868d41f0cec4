//! A side that reads nothing while the other sends without end.

use std::io::{ErrorKind, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rosn_tests::client::Client;
use rosn_tests::l4::Pattern;

use crate::Line;

/// What rosn may hold of a tunnel at most, with room for all that a process does beside it.
const BOUND: u64 = 24 << 20;

#[test]
fn memory_is_bounded_while_a_side_does_not_read() {
    stalls(64 << 20);
}

/// The same with 1 GiB; by hand, as it takes its time.
#[test]
#[ignore = "1 GiB each way"]
fn memory_is_bounded_with_a_gibibyte() {
    stalls(1 << 30);
}

/// Sends `len` bytes in each direction to a side that begins to read when the other is held back.
fn stalls(len: usize) {
    let line = Line::new();
    let all = Arc::new(Pattern::bytes(7, len));
    let (client, origin) = line.tunnel();
    let before = line.rosn.rss();
    for (mut from, mut to) in [(&client, &origin), (&origin, &client)].map(both) {
        let writer = from.tcp().try_clone().unwrap();
        let sent = fill(&writer, &all);
        assert!(sent < len, "nothing held the sender back");
        let held = line.rosn.rss().saturating_sub(before);
        assert!(held < BOUND, "rosn took {held} bytes for a tunnel that stands still");
        let all = Arc::clone(&all);
        let rest = thread::spawn(move || (&writer).write_all(&all[sent..]).unwrap());
        Pattern::expect(7, len, &mut to);
        rest.join().unwrap();
        let held = line.rosn.rss().saturating_sub(before);
        assert!(held < BOUND, "rosn took {held} bytes");
        from.send("end");
        assert_eq!(to.read_exact(3), b"end");
    }
    drop((client, origin));
    line.settled();
}

fn both((from, to): (&Client, &Client)) -> (Client, Client) {
    let over = |client: &Client| Client::over(client.tcp().try_clone().unwrap());
    (over(from), over(to))
}

/// Writes until nothing more is taken; how much was.
fn fill(mut writer: &std::net::TcpStream, all: &[u8]) -> usize {
    writer.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut sent = 0;
    while sent < all.len() {
        match writer.write(&all[sent..]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    writer.set_write_timeout(Some(rosn_tests::PATIENCE)).unwrap();
    sent
}
