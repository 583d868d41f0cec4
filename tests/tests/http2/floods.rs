//! Clients that want to cost more than they pay. Each flood is bounded, counted, and held against nobody else.

use std::time::{Duration, Instant};

use rosn_tests::http2::{ACK, END_HEADERS, END_STREAM, Http2, bytes_of, code, head, hpack, kind};
use rosn_tests::origin::{Origin, ok};
use rosn_tests::wait_until;
use serde_json::json;

use super::Line;

/// A request that the origin takes and does not answer.
fn silent() -> Line {
    Line::with(
        Origin::raw(|stream| drop(std::io::copy(&mut &stream, &mut std::io::sink()))),
        json!({}),
    )
}

/// The bytes of a head on this stream.
fn request(stream: u32) -> Vec<u8> {
    bytes_of(kind::HEADERS, END_HEADERS | END_STREAM, stream, &hpack::encode(&head("GET", "/")))
}

/// Sends until the peer takes no more; at most so many times.
fn send_all(client: &mut Http2, times: usize, bytes: &[u8]) -> usize {
    (0..times).take_while(|_| client.client().try_send(bytes).is_ok()).count()
}

/// Whether the connection was ended for a flood.
fn was_told_to_calm_down(client: &mut Http2) -> bool {
    // The end may be a reset that overtakes the words.
    client.end().is_none_or(|(_, why)| why == code::ENHANCE_YOUR_CALM)
}

/// CVE-2023-44487.
#[test]
fn rapid_reset_ends_the_connection() {
    let line = silent();
    let mut client = line.client();
    let mut stream = 1;
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        let reset = bytes_of(kind::RST_STREAM, 0, stream, &code::CANCEL.to_be_bytes());
        if client.client().try_send([request(stream), reset].concat()).is_err() {
            break;
        }
        stream += 2;
    }
    assert!(was_told_to_calm_down(&mut client));
    wait_until("it is counted", || line.metric("http2_flood_total") == 1.0);
    line.rosn.settled();
}

/// The same, slow enough for each request to be under way when it is given up.
#[test]
fn resets_of_requests_under_way_are_bounded() {
    let line = silent();
    let mut client = line.client();
    let mut given_up = 0;
    while !client.is_over && given_up < 5000 {
        let streams: Vec<u32> = (0..10).map(|_| client.request("GET", "/", &[])).collect();
        // An answer to this comes behind them.
        client.frame(kind::PING, 0, 0, b"ordering");
        let before = client.pongs.len();
        while client.pongs.len() == before && client.step().is_some() {}
        streams.into_iter().for_each(|stream| client.reset(stream, code::CANCEL));
        given_up += 10;
    }
    assert!(client.is_over, "{given_up} were given up");
    assert!(was_told_to_calm_down(&mut client));
    wait_until("it is counted", || line.metric("http2_flood_total") == 1.0);
    line.rosn.settled();
}

/// CVE-2025-8671: the client has this end reset the streams, so that they do not count any more.
#[test]
fn made_resets_are_bounded() {
    let line = silent();
    let mut client = line.client();
    let mut stream = 1;
    while stream < 20_000 {
        // More than a window can hold.
        let window = bytes_of(kind::WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes());
        let bytes = [request(stream), window].concat();
        if client.client().try_send(bytes).is_err() {
            break;
        }
        stream += 2;
    }
    assert!(was_told_to_calm_down(&mut client));
    line.rosn.settled();
}

/// CVE-2024-27316 and others: a head that never ends.
#[test]
fn continuation_without_end_ends_the_connection() {
    for size in [0, 1, 16_000] {
        let line = silent();
        let mut client = line.client();
        client.frame(kind::HEADERS, 0, 1, &hpack::encode(&head("GET", "/")));
        // An entry of the static table: the smallest field there is.
        let frame = bytes_of(kind::CONTINUATION, 0, 1, &vec![0x90; size]);
        let sent = send_all(&mut client, 100_000, &frame);
        assert!(sent < 100_000, "{size}");
        assert!(was_told_to_calm_down(&mut client), "{size}: {:?}", client.goaways);
        line.rosn.settled();
    }
}

/// The answers to these pile up where the client does not read them: then it is not read either.
#[test]
fn answers_do_not_pile_up() {
    let line = silent();
    let before = line.rosn.rss();
    let clients: Vec<Http2> = [(kind::PING, &[7; 8][..]), (kind::SETTINGS, &[0, 4, 0, 1, 0, 0])]
        .into_iter()
        .map(|(kind, payload)| {
            let mut client = line.client();
            let frames = bytes_of(kind, 0, 0, payload).repeat(1000);
            client.client().tcp().set_write_timeout(Some(Duration::from_millis(500))).unwrap();
            // 40 MB of answers.
            let sent = send_all(&mut client, 2500, &frames);
            assert!(sent < 2500, "it reads on although nobody takes the answers");
            client
        })
        .collect();
    let after = line.rosn.rss();
    assert!(after < before + (8 << 20), "{} bytes more", after - before);
    // Nobody else is held up.
    assert_eq!(line.client().settings(&[]), ());
    drop(clients);
    line.rosn.settled();
}

/// A client that reads them may send as many as it likes.
#[test]
fn pings_and_settings_are_answered() {
    let line = Line::new(|_| ok("served"));
    let mut client = line.client();
    for n in 0..500_u64 {
        client.frame(kind::PING, 0, 0, &n.to_be_bytes());
        client.settings(&[(4, 65_535)]);
        // An answer to no PING.
        client.frame(kind::PING, ACK, 0, b"unasked!");
    }
    while client.pongs.len() < 500 && client.step().is_some() {}
    let expected: Vec<Vec<u8>> = (0..500_u64).map(|n| n.to_be_bytes().to_vec()).collect();
    assert_eq!(client.pongs, expected);
    assert_eq!(client.get("/").status, 200);
    let log = line.rosn.log();
    assert!(!log.contains("PING"), "{}", log.lines().count());
}

/// Frames that are allowed at any time, cost little each, and are of no use to any stream.
#[test]
fn frames_of_no_use_are_bounded() {
    const UNKNOWN: u8 = 0xfa;
    for (kind, stream, payload) in [
        (kind::PRIORITY, 1, &[0, 0, 0, 3, 1][..]),
        (kind::WINDOW_UPDATE, 0, &[0, 0, 0, 1]),
        (UNKNOWN, 0, b"what is this"),
    ] {
        let line = silent();
        let mut client = line.client();
        let frames = bytes_of(kind, 0, stream, payload).repeat(1000);
        assert!(send_all(&mut client, 10_000, &frames) < 10_000, "{kind}");
        assert!(was_told_to_calm_down(&mut client), "{kind}");
        wait_until("it is counted", || line.metric("http2_flood_total") == 1.0);
        line.rosn.settled();
    }
}

#[test]
fn empty_frames_are_bounded() {
    let line = silent();
    let mut client = line.client();
    let stream = client.begin("POST", "/", &[]);
    let frames = bytes_of(kind::DATA, 0, stream, b"").repeat(100);
    assert!(send_all(&mut client, 10_000, &frames) < 10_000);
    assert!(was_told_to_calm_down(&mut client));
    // Frames of one byte hold memory where nobody reads them.
    let line = Line::with(Origin::raw(|_stream| std::thread::park()), json!({}));
    let mut client = line.client();
    let stream = client.begin("POST", "/", &[]);
    let before = line.rosn.rss();
    let frames = bytes_of(kind::DATA, 0, stream, b"x").repeat(100);
    client.client().tcp().set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    send_all(&mut client, 10_000, &frames);
    assert!(line.rosn.rss() < before + (16 << 20), "{} bytes more", line.rosn.rss() - before);
}

/// A client that opens no window, and streams that wait for it.
#[test]
fn a_window_that_stays_shut_ends_the_streams() {
    let line = Line::changed(Origin::http(|_| ok(&"x".repeat(1000))), json!({}), |config| {
        config["servers"][0]["listeners"][0]["connection_idle_timeout"] = json!("1s");
    });
    let mut client = Http2::connect_with(line.port, &[(4, 0)]);
    client.opens_windows = false;
    let streams: Vec<u32> = (0..20).map(|_| client.request("GET", "/", &[])).collect();
    for stream in streams {
        let answer = client.answer(stream);
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert!(answer.reset.is_some() && !answer.ended, "{answer:?}");
    }
    assert_eq!(line.rosn.active().1, 0);
    client.end();
    line.rosn.settled();
}

/// A client that does not read at all, with as many responses as it may ask for.
#[test]
fn who_does_not_read_holds_little_memory_and_not_for_long() {
    let line = Line::changed(Origin::http(|_| ok(&"x".repeat(1 << 20))), json!({}), |config| {
        config["servers"][0]["listeners"][0]["connection_idle_timeout"] = json!("2s");
    });
    let before = line.rosn.rss();
    let most = i32::MAX as u32;
    let mut clients: Vec<Http2> = (0..3)
        .map(|_| {
            let mut client = Http2::connect_with(line.port, &[(4, most)]);
            client.window(0, most - 65_535);
            for _ in 0..100 {
                client.request("GET", "/", &[]);
            }
            client
        })
        .collect();
    wait_until("all requests came", || line.metric("request_total") == 300.0);
    let held = line.rosn.rss() - before;
    assert!(held < 128 << 20, "{held} bytes for 300 responses of 1 MiB");
    // Their time is over; nothing is left of them.
    line.rosn.settled();
    clients.iter_mut().for_each(|client| drop(client.client().read_to_end()));
}
