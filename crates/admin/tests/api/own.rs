//! rosn's own paths, the token, the metrics server and the control socket.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use rosn_admin::client::{self, Target};
use rosn_admin::{AdminOptions, control_socket, serve, serve_metrics};
use rosn_config::checked::Secret;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::{Fake, Server};

#[tokio::test]
async fn reload_reports() {
    let server = Server::start(AdminOptions::default()).await;
    let done = server.post("/api/v1/reload", "").await;
    assert_eq!((done.status, done.body.as_str()), (200, "listeners: 1 added (x)\n"));
    assert_eq!(server.post("/api/v1/reload?format=json", "").await.json(), json!({"ok": true}));
    *server.fake.reload_fails.lock().unwrap() = true;
    let failed = server.post("/api/v1/reload", "").await;
    assert_eq!((failed.status, failed.body.as_str()), (422, "error[unknown-key]: no\n"));
    let accept = "Accept: application/json\r\n";
    let failed = server.send("POST", "/api/v1/reload", accept, "").await;
    assert_eq!((failed.status, failed.json()), (422, json!({"ok": false})));
}

#[tokio::test]
async fn a_reload_outlives_its_client() {
    let server = Server::start(AdminOptions::default()).await;
    let closed = server.fake.gate.acquire().await.unwrap();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"POST /api/v1/reload HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    // Answered on another connection only after the first one was read: one thread, in order.
    assert_eq!(server.get("/healthz").await.status, 200);
    drop(stream);
    assert_eq!(server.get("/healthz").await.status, 200);
    drop(closed);
    while server.fake.reloads.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stop_is_graceful_unless_told() {
    let server = Server::start(AdminOptions::default()).await;
    assert_eq!(server.post("/api/v1/stop", "").await.body, "stopping gracefully\n");
    assert_eq!(server.post("/api/v1/stop?graceful=false", "").await.body, "stopping\n");
    assert_eq!(server.post("/api/v1/stop?graceful=maybe", "").await.status, 400);
    assert_eq!(*server.fake.stops.lock().unwrap(), [true, false]);
}

#[tokio::test]
async fn health_and_readiness() {
    let server = Server::start(AdminOptions::default()).await;
    assert_eq!(server.get("/ready").await.status, 200);
    server.fake.state.store(8, SeqCst);
    let reply = server.get("/ready").await;
    assert_eq!((reply.status, reply.body.as_str()), (503, "not ready: state=8\n"));
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn metrics_and_connections() {
    let server = Server::start(AdminOptions::default()).await;
    let metrics = server.get("/metrics").await;
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    assert!(metrics.body.contains("downstream_request_total 3\n"));
    let open = server.get("/api/v1/connections").await.json();
    assert_eq!(open["workers"].as_array().unwrap().len(), 2);
    let clusters = server.get("/api/v1/clusters").await.json();
    assert_eq!(clusters["app"]["health_check"], true);
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let server = Server::start(AdminOptions::default()).await;
    let reply = server.send("HEAD", "/api/v1/states", "", "").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    assert!(reply.head.contains("content-length: 17"), "{}", reply.head);
}

#[tokio::test]
async fn unknown_paths_name_close_ones() {
    let server = Server::start(AdminOptions::default()).await;
    for (path, close) in [
        ("/api/v1/state", "/api/v1/states\n"),
        ("/api/v2/config_dump", "/api/v1/config_dump\n"),
        ("/reload", "/api/v1/reload\n"),
    ] {
        let reply = server.get(path).await;
        assert_eq!(reply.status, 404);
        assert!(reply.body.contains(close), "{path}: {}", reply.body);
    }
    let far = server.get("/x?y").await;
    assert_eq!(far.body, "no such path: /x\nGET / lists all paths\n");
}

#[tokio::test]
async fn a_token_guards_all_but_the_probes() {
    let options = AdminOptions { token: Some(Secret("s3cret".into())) };
    let server = Server::start(options).await;
    for path in ["/", "/api/v1/states", "/metrics", "/nowhere"] {
        let reply = server.get(path).await;
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.head.contains("www-authenticate: bearer"), "{}", reply.head);
        assert!(!reply.body.contains("s3cret"));
    }
    let wrong = server.send("GET", "/", "Authorization: Bearer s3creT\r\n", "").await;
    assert_eq!(wrong.status, 401);
    let right = server.send("GET", "/", "Authorization: Bearer s3cret\r\n", "").await;
    assert_eq!(right.status, 200);
    assert_eq!(server.get("/healthz").await.status, 200);
    assert_eq!(server.get("/ready").await.status, 200);
}

#[tokio::test]
async fn the_client_knows_the_token() {
    let options = AdminOptions { token: Some(Secret("s3cret".into())) };
    let server = Server::start(options).await;
    let target = Target::Address(server.address, Some(Secret("s3cret".into())));
    let answer = tokio::task::spawn_blocking(move || {
        client::post(&target, "/api/v1/reload", Duration::from_secs(10))
    });
    let answer = answer.await.unwrap().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "listeners: 1 added (x)\n"));
}

#[tokio::test]
async fn the_control_socket_serves_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(control_socket::NAME);
    let socket = control_socket::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = UnixListener::from_std(socket).unwrap();
    tokio::spawn(serve(socket, Arc::new(Fake::default()), AdminOptions::default()));
    let answer = tokio::task::spawn_blocking(move || {
        client::post(&Target::Socket(path), "/api/v1/reload?format=json", Duration::from_secs(10))
    });
    assert_eq!(answer.await.unwrap().unwrap().body, "{\n \"ok\": true\n}");
}

#[tokio::test]
async fn a_prometheus_sink_answers_its_path_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let source = Arc::new(|| "up 1\n".to_owned());
    tokio::spawn(serve_metrics(listener, "/metrics".into(), source));
    let server = Server { address, fake: Arc::new(Fake::default()) };
    assert_eq!(server.get("/metrics?x=y").await.body, "up 1\n");
    assert_eq!(server.post("/metrics", "").await.status, 405);
    let other = server.get("/").await;
    assert_eq!((other.status, other.body.as_str()), (404, "metrics are at /metrics\n"));
}
