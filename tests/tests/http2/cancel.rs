//! What breaks off on one side is cancelled on the other.

use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use rosn_tests::http2::code;
use rosn_tests::origin::{Origin, ok};
use rosn_tests::wait_until;
use serde_json::{Value, json};

use super::{Line, accept, log_lines};

/// A line whose origin is this listener's thread.
fn line_to(listener: &TcpListener) -> Line {
    let port = listener.local_addr().unwrap().port();
    Line::changed(Origin::http(|_| ok("")), json!({}), move |config: &mut Value| {
        config["cluster_manager"]["clusters"][0]["hosts"] =
            json!([{ "address": format!("127.0.0.1:{port}") }]);
    })
}

#[test]
fn a_reset_of_the_client_ends_the_request_upstream() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = line_to(&listener);
    let (tell, told) = mpsc::channel();
    let origin = thread::spawn(move || {
        for part in ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", "body"] {
            let mut origin = accept(&listener);
            origin.read_head();
            if part != "body" {
                origin.send(part);
            }
            tell.send(()).unwrap();
            // Until the connection is closed.
            origin.read_to_end();
        }
    });
    let mut client = line.client();
    // Before the response, within it, and within the body of a request that the origin does not answer.
    let waiting = client.request("GET", "/", &[]);
    told.recv().unwrap();
    client.reset(waiting, code::CANCEL);
    let reading = {
        wait_until("the first one is over", || log_lines(&line.rosn).len() == 1);
        client.request("GET", "/", &[])
    };
    told.recv().unwrap();
    client.until(reading, |answer| answer.body == b"part");
    client.reset(reading, code::CANCEL);
    wait_until("the second one is over", || log_lines(&line.rosn).len() == 2);
    let sending = client.begin("POST", "/", &[]);
    told.recv().unwrap();
    client.data(sending, b"a part", false);
    client.reset(sending, code::CANCEL);
    origin.join().unwrap();
    wait_until("all are over", || log_lines(&line.rosn).len() == 3);
    for log in log_lines(&line.rosn) {
        assert!(log.contains(" 499 [DC] downstream_gone ") || log.contains(" 200 [DC] "), "{log}");
    }
    wait_until("they are counted", || line.metric("http2_reset_total") == 3.0);
    assert_eq!(line.rosn.active().1, 0, "requests");
    assert_eq!(line.rosn.active().0, 1, "the connection goes on");
    drop(client);
    line.rosn.settled();
}

#[test]
fn the_end_of_a_connection_ends_all_of_its_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = line_to(&listener);
    let mut client = line.client();
    let mut origins = Vec::new();
    for _ in 0..3 {
        client.request("GET", "/", &[]);
        let mut origin = accept(&listener);
        origin.read_head();
        origins.push(origin);
    }
    drop(client);
    origins.iter_mut().for_each(|origin| assert!(origin.read_to_end().is_empty()));
    line.rosn.settled();
}

/// What broke off must not look whole: RST_STREAM, and never END_STREAM.
#[test]
fn a_response_that_breaks_off_is_reset() {
    let line = Line::with(
        Origin::http(|request| match request.target.as_str() {
            "/length" => {
                b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\npart".to_vec()
            }
            "/chunks" => {
                let head =
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
                format!("{head}4\r\npart\r\n").into_bytes()
            }
            "/bad" => {
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                format!("{head}4\r\npart\r\nno number\r\n").into_bytes()
            }
            _ => ok("whole"),
        }),
        json!({}),
    );
    let mut client = line.client();
    for path in ["/length", "/chunks", "/bad"] {
        let answer = client.get(path);
        assert_eq!((answer.ended, answer.reset), (false, Some(code::INTERNAL_ERROR)), "{path}");
        // The reset may overtake what came with the fault.
        assert!(
            matches!(answer.status, 0 | 200) && b"part".starts_with(&answer.body),
            "{answer:?}"
        );
    }
    assert_eq!(client.get("/").text(), "whole");
}

#[test]
fn an_upstream_that_says_nothing_is_answered_for() {
    let line = Line::new(|_| Vec::new());
    let mut client = line.client();
    let answer = client.get("/");
    assert_eq!((answer.status, answer.ended, answer.reset), (502, true, None));
    // What an upstream says that is not HTTP is not passed on.
    let line = Line::new(|_| b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_vec());
    let answer = line.client().get("/");
    assert_eq!((answer.status, answer.ended), (502, true));
}

/// The body of the client breaks its own framing: nothing goes on as if it were whole.
#[test]
fn a_length_that_is_not_kept_to_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = line_to(&listener);
    for (body, ends) in [(&b"much too long"[..], false), (b"no", true)] {
        let mut client = line.client();
        let stream = client.begin("POST", "/", &[("content-length", "4")]);
        let mut origin = accept(&listener);
        origin.read_head();
        client.data(stream, body, ends);
        assert_eq!(client.answer(stream).reset, Some(code::PROTOCOL_ERROR), "{body:?}");
        let came = origin.read_to_end();
        assert!(came.len() < 4, "{came:?}");
    }
    line.rosn.settled();
}
