//! HTTP/1.1 through both, and the names of clients.

use std::fs;
use std::sync::{Arc, Condvar, Mutex};

use rosn_tests::client::Client;
use rosn_tests::origin::{Origin, ok, response};
use rosn_tests::tunnel::{Link, Pair};
use rosn_tests::{Rosn, wait_until};

mod exchanges {
    each!(super::requests_pass);
}

const LARGE: usize = 1 << 20;

fn requests_pass(name: &str) {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let origin = origin(Arc::clone(&gate));
    let pair = Pair::http(Link::new(name), origin.port());
    let mut client = Client::connect(pair.port);
    one_connection_carries_many(&mut client);
    bodies_pass(&mut client);
    requests_may_come_at_once(&mut client);
    an_expectation_is_met(&mut client);
    a_slow_origin_holds_an_upload_back(&mut client, &gate);
    a_body_ends_with_its_connection(&pair);
    assert!(
        client.get("/close").status == 200,
        "the client's connection survives a close behind it"
    );
    drop(client);
    pair.settled();
    peers_are_named(name, &pair);
}

fn origin(gate: Arc<(Mutex<bool>, Condvar)>) -> Origin {
    Origin::http(move |request| {
        match request.target.as_str() {
        "/echo" => response(200, &[("X-Seen", &request.body.len().to_string())], &request.body),
        "/head" => b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n".to_vec(),
        "/chunks" => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n".to_vec()
        }
        "/to-the-end" => {
            let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            [head.as_slice(), &vec![b'x'; LARGE]].concat()
        }
        "/close" => response(200, &[("Connection", "close")], b"bye"),
        "/slow" => {
            let (open, changed) = &*gate;
            drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
            ok(&request.body.len().to_string())
        }
        other => ok(other),
    }
    })
}

fn one_connection_carries_many(client: &mut Client) {
    for number in 0..20 {
        let target = format!("/{number}");
        assert_eq!(client.get(&target).text(), target);
    }
    let head = client.request("HEAD", "/head", &[], b"");
    assert_eq!((head.status, head.header("content-length").as_deref()), (200, Some("12345")));
    assert_eq!(client.get("/chunks").text(), "hello world");
}

fn bodies_pass(client: &mut Client) {
    let body: Vec<u8> = (0..LARGE).map(|at| (at / 7) as u8).collect();
    for length in [1, 1000, LARGE] {
        let response = client.request("POST", "/echo", &[], &body[..length]);
        assert_eq!(response.status, 200);
        assert!(response.body == body[..length], "another body came back");
    }
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for part in body.chunks(10_000) {
        client.send(format!("{:x}\r\n", part.len()));
        client.send(part);
        client.send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert!(client.read_response().body == body, "another body came back");
}

fn requests_may_come_at_once(client: &mut Client) {
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send(["/one", "/two", "/three"].map(request).concat());
    for target in ["/one", "/two", "/three"] {
        assert_eq!(client.read_response().text(), target);
    }
}

fn an_expectation_is_met(client: &mut Client) {
    client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    assert!(client.read_head().starts_with("HTTP/1.1 100 "));
    client.send("body");
    assert_eq!(client.read_response().text(), "body");
}

/// The origin has read the body and answers late: nothing may give up meanwhile.
fn a_slow_origin_holds_an_upload_back(client: &mut Client, gate: &(Mutex<bool>, Condvar)) {
    let head = format!("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n");
    client.send(head);
    client.send(vec![b'x'; LARGE]);
    assert!(client.is_quiet());
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!(client.read_response().text(), LARGE.to_string());
}

fn a_body_ends_with_its_connection(pair: &Pair) {
    let mut client = Client::connect(pair.port);
    assert_eq!(client.get("/to-the-end").body.len(), LARGE);
}

/// The access log of the far side names the near side, or what stands for it.
fn peers_are_named(name: &str, pair: &Pair) {
    let of_near = log(&pair.near);
    assert!(of_near.lines().all(|line| line.starts_with("127.0.0.1:")), "{of_near}");
    let of_far = log(&pair.far);
    let is_named = |line: &str| match name {
        name if name.starts_with("ds") => !line.starts_with("127."),
        _ => line.starts_with("127.0.0.1:"),
    };
    assert!(of_far.lines().all(is_named), "{of_far}");
}

fn log(rosn: &Rosn) -> String {
    let path = rosn.folder().join("access.log");
    let read = || fs::read_to_string(&path).unwrap_or_default();
    wait_until("the access log is written", || read().lines().count() >= 30);
    read()
}
