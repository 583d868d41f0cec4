//! How tunnels end.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use rosn_tests::client::Client;
use rosn_tests::l4::{Pattern, reset};
use serde_json::json;

use crate::{Line, says_no_more};

/// H15: `Upgrade: tcp` with a client that ends first, as `docker run -i` does: late bytes still come, both ways.
#[test]
fn each_side_may_end_first_and_late_bytes_still_come() {
    let line = Line::new();
    for client_first in [true, false] {
        let (client, origin) = line.tunnel();
        let (mut first, mut late) = if client_first { (client, origin) } else { (origin, client) };
        first.send("question");
        first.shutdown_write();
        assert_eq!(late.read_exact(8), b"question");
        assert!(late.is_closed());
        for part in 0..50_u8 {
            late.send([part; 1000]);
            assert_eq!(first.read_exact(1000), [part; 1000]);
        }
        let sender = thread::spawn(move || {
            Pattern::send(3, 8 << 20, &mut late.tcp());
            late
        });
        Pattern::expect(3, 8 << 20, &mut first);
        drop(sender.join().unwrap());
        assert!(first.is_closed());
        drop(first);
        line.settled();
    }
}

/// A client that ends with its request, before the 101.
#[test]
fn a_client_may_end_before_the_switch() {
    let line = Line::new();
    let mut client = line.client();
    client.send([crate::ASK, "all I have"].concat());
    client.shutdown_write();
    let mut origin = line.origin();
    origin.read_head();
    origin.send([crate::AGREE, "answer"].concat());
    assert_eq!(origin.read_exact(10), b"all I have");
    assert!(origin.is_closed());
    origin.send(" and late");
    drop(origin);
    client.read_head();
    assert_eq!(client.read_to_end(), b"answer and late");
    drop(client);
    line.settled();
}

/// H16: what is spliced is counted as exactly as what is copied.
#[test]
fn bytes_are_counted_when_they_are_spliced() {
    const LEN: usize = 5 << 20;
    let line = Line::new();
    let (mut client, mut origin) = line.tunnel();
    client.send("copied");
    assert_eq!(origin.read_exact(6), b"copied");
    let sender = thread::spawn(move || {
        Pattern::send(1, LEN, &mut origin.tcp());
        Pattern::expect(2, LEN, &mut origin);
    });
    Pattern::expect(1, LEN, &mut client);
    Pattern::send(2, LEN, &mut client.tcp());
    sender.join().unwrap();
    drop(client);
    line.settled();
    assert_eq!(line.log(1), [format!("101 {} {LEN} [-] tunnel_ended GET - x/y", LEN + 6)]);
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    let line = Line::new();
    for (client_resets, flag) in
        [(true, "[DC] tunnel_client_reset"), (false, "[UC] tunnel_upstream_reset")]
    {
        let (client, origin) = line.tunnel();
        let (one, mut other) = if client_resets { (client, origin) } else { (origin, client) };
        let mut tcp = one.tcp().try_clone().unwrap();
        tcp.write_all(b"in the middle").unwrap();
        assert_eq!(other.read_exact(13), b"in the middle");
        drop(one);
        reset(tcp);
        assert!(other.is_reset());
        drop(other);
        line.settled();
        let log = line.log(1 + usize::from(!client_resets));
        assert!(log.last().unwrap().contains(flag), "{log:?}");
    }
}

#[test]
fn a_tunnel_without_bytes_ends() {
    let line = Line::with(json!({ "idle_timeout": "1500ms" }));
    let (mut client, mut origin) = line.tunnel();
    let begin = Instant::now();
    // Bytes in one direction keep it open for longer than that.
    while begin.elapsed() < Duration::from_millis(2500) {
        client.send("x");
        assert_eq!(origin.read_exact(1), b"x");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(says_no_more(&mut client));
    assert!(says_no_more(&mut origin));
    drop((client, origin));
    line.settled();
    let log = line.log(1);
    assert!(log[0].contains("[SI] tunnel_idle_timeout"), "{log:?}");
}

#[test]
fn a_tunnel_ends_with_its_lifetime() {
    let line = Line::with(json!({ "max_lifetime": "500ms", "idle_timeout": "0s" }));
    let (mut client, mut origin) = line.tunnel();
    let echo = thread::spawn(move || while origin.try_send("x").is_ok() {});
    while !client.read_ends() {}
    drop(client);
    echo.join().unwrap();
    line.settled();
    let log = line.log(1);
    assert!(log[0].contains("[SI] tunnel_max_lifetime"), "{log:?}");
}

trait ReadEnds {
    /// Reads once; whether that was the end, of whatever kind.
    fn read_ends(&mut self) -> bool;
}

impl ReadEnds for Client {
    fn read_ends(&mut self) -> bool {
        use std::io::Read as _;
        !matches!(self.read(&mut [0; 65536]), Ok(1..))
    }
}
