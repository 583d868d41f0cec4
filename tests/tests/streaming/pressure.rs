//! A peer that does not read holds up the other one, at the cost of a bounded amount of memory.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rosn_tests::client::Client;
use rosn_tests::l4::Pattern;

use crate::{Line, get, ok, post};

const SIZE: usize = 200 << 20;
/// What the kernel's buffers of two connections may take at most.
const IN_SOCKETS: usize = 40 << 20;
/// How much rosn may grow, whatever is sent.
const GROWTH: u64 = 8 << 20;

/// A thread that sends so many bytes, and how far it is.
struct Sending {
    sent: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Sending {
    fn start(to: &Client, size: usize) -> Self {
        let mut stream = to.tcp().try_clone().unwrap();
        stream.set_write_timeout(None).unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let thread = std::thread::spawn(move || {
            let mut pattern = Pattern::new(7);
            let mut bytes = vec![0; 64 << 10];
            for _ in 0..size / bytes.len() {
                pattern.fill(&mut bytes);
                if stream.write_all(&bytes).is_err() {
                    return;
                }
                count.fetch_add(bytes.len(), Ordering::SeqCst);
            }
        });
        Self { sent, thread }
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// Waits until it gets no further.
    fn is_held_up(&self) -> usize {
        let (mut last, mut since) = (0, Instant::now());
        while since.elapsed() < Duration::from_millis(500) {
            if self.sent() != last {
                (last, since) = (self.sent(), Instant::now());
            }
            assert!(!self.thread.is_finished(), "all of it was taken");
            std::thread::sleep(Duration::from_millis(10));
        }
        last
    }
}

#[test]
fn a_client_that_does_not_read_holds_up_the_origin() {
    let line = Line::new();
    // What everything needs once is not growth.
    let (mut client, mut origin) = line.begin(get("/warm"));
    let _ = (origin.read_head(), origin.send(ok("")), client.read_response());
    let before = line.rosn.rss();
    client.send(get("/large"));
    origin.read_head();
    origin.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
    let sending = Sending::start(&origin, SIZE);
    let sent = sending.is_held_up();
    assert!(sent < IN_SOCKETS, "{sent} bytes were taken");
    let grown = line.rosn.rss().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes more after {sent}");
    client.read_head();
    Pattern::expect(7, SIZE, &mut client);
    sending.thread.join().unwrap();
    let grown = line.rosn.rss().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes more at the end");
    drop((client, origin));
    line.rosn.settled();
}

#[test]
fn an_origin_that_does_not_read_holds_up_the_client() {
    let line = Line::new();
    let (mut client, mut origin) = line.begin(get("/warm"));
    let _ = (origin.read_head(), origin.send(ok("")), client.read_response());
    let before = line.rosn.rss();
    client.send(post(&format!("Content-Length: {SIZE}")));
    let sending = Sending::start(&client, SIZE);
    let sent = sending.is_held_up();
    assert!(sent < IN_SOCKETS, "{sent} bytes were taken");
    let grown = line.rosn.rss().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes more after {sent}");
    origin.read_head();
    Pattern::expect(7, SIZE, &mut origin);
    sending.thread.join().unwrap();
    origin.send(ok("thanks"));
    assert_eq!(client.read_response().text(), "thanks");
    let grown = line.rosn.rss().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes more at the end");
    drop((client, origin));
    line.rosn.settled();
}

#[test]
fn many_clients_that_do_not_read_cost_a_buffer_each() {
    const CLIENTS: usize = 50;
    let line = Line::new();
    let before = line.rosn.rss();
    let mut all = Vec::new();
    for number in 0..CLIENTS {
        let (client, mut origin) = line.begin(get("/large"));
        origin.read_head();
        // Chunked, where a careless proxy would gather.
        origin.send("HTTP/1.1 200 OK\r\n\r\n");
        let sending = Sending::start(&origin, SIZE);
        if number == CLIENTS - 1 {
            sending.is_held_up();
        }
        all.push((client, origin, sending));
    }
    let held = all.iter().all(|(_, _, sending)| sending.sent() < IN_SOCKETS);
    assert!(held, "more was taken than fits");
    let grown = line.rosn.rss().saturating_sub(before);
    assert!(grown < CLIENTS as u64 * (160 << 10) + GROWTH, "{grown} bytes more");
    // They leave without having read: all of it is given back, and the origins are told.
    for (client, _, _) in &all {
        client.tcp().shutdown(std::net::Shutdown::Both).unwrap();
    }
    for (client, origin, sending) in all {
        drop(client);
        sending.thread.join().unwrap();
        drop(origin);
    }
    line.rosn.settled_without_upstream();
}

#[test]
fn a_reader_that_is_slow_gets_everything() {
    let line = Line::new();
    const SMALL: usize = 4 << 20;
    let (mut client, mut origin) = line.begin(get("/large"));
    origin.read_head();
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n");
    let sending = Sending::start(&origin, SMALL);
    client.read_head();
    let (mut pattern, mut wanted) = (Pattern::new(7), [0; 1 << 10]);
    for _ in 0..SMALL / wanted.len() {
        pattern.fill(&mut wanted);
        assert_eq!(client.read_exact(wanted.len()), wanted);
    }
    sending.thread.join().unwrap();
}
