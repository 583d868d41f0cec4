//! The command line against a running process: start, stop, reload, watch, signals, exit codes.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;
use std::sync::{Mutex, mpsc};

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, router, router_to};
use rosn_tests::origin::{Origin, ok};
use rosn_tests::{Rosn, Signal, free_port, wait_until};
use serde_json::{Value, json};

/// A listener that answers by itself.
fn answering(port: u16, body: &str) -> Value {
    let route =
        json!({ "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": body } });
    config(&[http_listener("in", port, "r")], &[router("r", &[route])], &[])
}

fn rosn(arguments: &[&str]) -> Output {
    Rosn::command().args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// Writes it into a folder with places of its own.
fn write(folder: &Path, config: &Value) -> String {
    let mut config = config.clone();
    config["pid"] = json!(folder.join("rosn.pid"));
    config["uds_dir"] = json!(folder);
    config["servers"][0]["default_log_path"] = json!(folder.join("rosn.log"));
    let path = folder.join("config.json");
    fs::write(&path, config.to_string()).unwrap();
    path.display().to_string()
}

#[test]
fn a_life_from_start_to_stop() {
    let port = free_port();
    let mut running = Rosn::start(&answering(port, "one"));
    assert_eq!(Client::connect(port).get("/").text(), "one");
    let file = running.config_path().display().to_string();
    let pid = fs::read_to_string(running.folder().join("rosn.pid")).unwrap();
    assert_eq!(pid.trim(), running.pid().to_string());

    let second = rosn(&["start", "-c", &file]);
    assert_eq!(second.status.code(), Some(2));
    assert!(said(&second).contains(&format!("the process {}", running.pid())), "{}", said(&second));
    assert_eq!(Client::connect(port).get("/").text(), "one", "the first is not harmed");

    let stopped = rosn(&["stop", "-c", &file]);
    assert_eq!(stopped.status.code(), Some(0), "{}", said(&stopped));
    assert_eq!(running.wait().code(), Some(0));
    assert!(!running.folder().join("rosn.pid").exists());
    let left = fs::read_dir(running.folder())
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let left: Vec<String> = left.filter(|name| name.ends_with(".sock")).collect();
    assert!(left.is_empty(), "{left:?} is left");
    assert_eq!(rosn(&["stop", "-c", &file]).status.code(), Some(1), "there is nothing to stop");
}

#[test]
fn a_port_in_use_is_named_and_so_is_who_has_it() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let mut two = answering(port, "x");
    let another = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = another.local_addr().unwrap().port();
    two["servers"][0]["listeners"]
        .as_array_mut()
        .unwrap()
        .push(http_listener("second", other, "r"));
    let file = write(folder.path(), &two);
    let output = rosn(&["start", "-c", &file]);
    assert_eq!(output.status.code(), Some(2));
    let text = said(&output);
    for part in [&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{other}"), "`in`", "`second`"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(text.contains(&std::process::id().to_string()), "who has it: {text}");
    assert!(!folder.path().join("rosn.pid").exists());
    // Another rosn is seen too, although both would set SO_REUSEPORT.
    let free = free_port();
    let first = Rosn::start(&answering(free, "first"));
    let file = write(folder.path(), &answering(free, "second"));
    let output = rosn(&["start", "-c", &file]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains(&first.pid().to_string()), "{}", said(&output));
}

#[test]
fn a_start_without_a_good_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &[u8]| {
        fs::write(folder.path().join(name), text).unwrap();
        place(name)
    };
    let faulty = br#"{ "servers": [ { "listeners": [ { "adress": "127.0.0.1:1", "bind_port": "yes" } ] } ] }"#;
    let large =
        [b"{ \"servers\": [], \"x\": \"".to_vec(), vec![b'x'; 50 << 20], b"\" }".to_vec()].concat();
    for (file, part) in [
        (place("absent.json"), "absent.json"),
        (folder.path().display().to_string(), "directory"),
        (write("empty.json", b""), "empty"),
        (write("cut.json", b"{ \"servers\": ["), "cut.json:1:"),
        (write("faulty.json", faulty), "did you mean"),
        (write("binary.json", &[0, 159, 146, 150]), "binary.json"),
        (write("large.json", &large), "large.json"),
    ] {
        for (command, code) in [("check", 1), ("start", 2)] {
            let output = rosn(&[command, "-c", &file]);
            assert_eq!(output.status.code(), Some(code), "{command} {file}: {}", said(&output));
            assert!(said(&output).contains(part), "{command} {file}: {}", said(&output));
            assert!(!said(&output).contains("panicked"), "{}", said(&output));
            assert!(said(&output).len() < 100_000, "{command} {file} says too much");
        }
    }
}

#[test]
fn a_reload_applies_the_difference_only() {
    let origin = Origin::http(|_| ok("from the origin"));
    let (kept, gone, new) = (free_port(), free_port(), free_port());
    let clusters = [cluster("c", &[origin.port()])];
    let before = config(
        &[http_listener("kept", kept, "r"), http_listener("gone", gone, "r")],
        &[router_to("r", "c")],
        &clusters,
    );
    let running = Rosn::start_with(&before, &["--workers", "1"]);
    let mut client = Client::connect(kept);
    let mut leaving = Client::connect(gone);
    assert_eq!(client.get("/").text(), "from the origin");
    assert_eq!(leaving.get("/").text(), "from the origin");
    assert_eq!(running.reload(), (true, "nothing changed\n".to_owned()));

    let answer = json!({ "match": { "prefix": "/new" }, "direct_response": { "status": 200, "body": "new route" } });
    let mut after = config(
        &[http_listener("kept", kept, "r"), http_listener("new", new, "r")],
        &[router_to("r", "c")],
        &clusters,
    );
    after["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"]
        .as_array_mut()
        .unwrap()
        .insert(0, answer);
    running.write_config(&after);
    let (good, report) = running.reload();
    assert!(good, "{report}");
    for part in ["gone", "new", "r"] {
        assert!(report.contains(part), "{report}");
    }
    // The same connection, the new routes.
    assert_eq!(client.get("/new").text(), "new route");
    assert_eq!(client.get("/").text(), "from the origin");
    assert_eq!(Client::connect(new).get("/new").text(), "new route");
    assert_eq!(origin.connections(), 1, "pooled connections stay");
    wait_until("the port is given up", || {
        std::net::TcpStream::connect(("127.0.0.1", gone)).is_err()
    });
    assert_eq!(running.metric("downstream_connection_total", &[("listener", "kept")]), 1.0);
    // Who was connected to a listener that went is served to the end of what it asks, then let go.
    let last = leaving.request("GET", "/", &[], b"");
    assert_eq!(last.status, 200);
    drop((client, leaving));
    wait_until("the log says so", || running.log().contains("reloaded"));
    running.settled();
}

#[test]
fn a_bad_new_configuration_changes_nothing() {
    let port = free_port();
    let running = Rosn::start(&answering(port, "one"));
    let mut client = Client::connect(port);
    assert_eq!(client.get("/").text(), "one");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_port = taken.local_addr().unwrap().port();
    let mut occupied = answering(port, "two");
    let added = http_listener("occupied", taken_port, "r");
    occupied["servers"][0]["listeners"].as_array_mut().unwrap().push(added);
    let mut unknown = answering(port, "two");
    unknown["servers"][0]["listeners"][0]["filter_chains"][0]["filters"][0]["config"]["router_config_name"] =
        json!("rr");
    let mut two_on_one = answering(port, "two");
    two_on_one["servers"][0]["listeners"]
        .as_array_mut()
        .unwrap()
        .push(http_listener("twin", port, "r"));
    for (bad, part) in [
        (occupied, taken_port.to_string()),
        (unknown, "`rr`".to_owned()),
        (two_on_one, "twin".to_owned()),
    ] {
        running.write_config(&bad);
        let (good, report) = running.reload();
        assert!(!good && report.contains(&part), "{report}");
        assert!(
            report.contains("not changed") || report.contains("nothing was changed"),
            "{report}"
        );
        assert_eq!(client.get("/").text(), "one");
        assert_eq!(Client::connect(port).get("/").text(), "one");
    }
    fs::write(running.config_path(), "{ \"servers\": [").unwrap();
    assert!(!running.reload().0);
    assert_eq!(client.get("/").text(), "one");
    running.write_config(&answering(port, "three"));
    assert!(running.reload().0);
    assert_eq!(client.get("/").text(), "three");
    drop(client);
    running.settled();
}

#[test]
fn sighup_reloads() {
    let port = free_port();
    let running = Rosn::start(&answering(port, "one"));
    running.write_config(&answering(port, "two"));
    running.signal(Signal::HUP);
    wait_until("the new configuration is in force", || {
        Client::connect(port).get("/").text() == "two"
    });
}

#[test]
fn a_watched_file_is_followed() {
    let port = free_port();
    let running = Rosn::start_with(&answering(port, "one"), &["--watch"]);
    let mut client = Client::connect(port);
    assert_eq!(client.get("/").text(), "one");
    running.write_config(&answering(port, "two"));
    wait_until("an edit in place is seen", || client.get("/").text() == "two");
    // As editors do it: a new file takes the name.
    let text = fs::read_to_string(running.config_path()).unwrap();
    let beside = running.folder().join("config.json.swp");
    fs::write(&beside, text.replace("\"two\"", "\"three\"")).unwrap();
    fs::rename(&beside, running.config_path()).unwrap();
    wait_until("a renamed file is seen", || client.get("/").text() == "three");
    // A fault is said once, and what is in force stays.
    fs::write(running.config_path(), "{").unwrap();
    wait_until("the log says so", || running.log().contains("has errors"));
    assert_eq!(client.get("/").text(), "three");
    fs::remove_file(running.config_path()).unwrap();
    running.write_config(&answering(port, "four"));
    wait_until("it is followed further", || client.get("/").text() == "four");
}

/// Holds each request to `/held` until it is told.
fn holding() -> (Origin, mpsc::Sender<()>) {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let origin = Origin::http(move |request| {
        if request.target == "/held" {
            let _ = held.lock().unwrap().recv();
        }
        ok("done")
    });
    (origin, release)
}

#[test]
fn sigterm_lets_requests_finish() {
    let (origin, release) = holding();
    let port = free_port();
    let mut running = Rosn::start(&config(
        &[http_listener("in", port, "r")],
        &[router_to("r", "c")],
        &[cluster("c", &[origin.port()])],
    ));
    let mut idle = Client::connect(port);
    assert_eq!(idle.get("/").text(), "done");
    let mut fresh = Client::connect(port);
    let mut active = Client::connect(port);
    active.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("the request is there", || origin.requests() == 2);
    running.signal(Signal::TERM);
    assert!(idle.is_closed(), "an idle connection is closed, not reset");
    assert!(fresh.is_closed(), "and so is one that has not asked yet");
    wait_until("nobody listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    assert_eq!(running.admin_get("/api/v1/states"), format!("pid={}&state=8\n", running.pid()));
    assert_eq!(running.admin("GET", "/ready").status, 503);
    assert!(running.is_running());
    release.send(()).unwrap();
    let response = active.read_response();
    assert_eq!(response.text(), "done");
    assert_eq!(response.header("connection").as_deref(), Some("close"));
    assert!(active.is_closed());
    assert_eq!(running.wait().code(), Some(0), "{}", running.log());
}

#[test]
fn a_drain_ends_when_its_time_is_over() {
    let (origin, _release) = holding();
    let port = free_port();
    let mut slow = config(
        &[http_listener("in", port, "r")],
        &[router_to("r", "c")],
        &[cluster("c", &[origin.port()])],
    );
    slow["servers"][0]["graceful_timeout"] = json!("200ms");
    let mut running = Rosn::start(&slow);
    let mut active = Client::connect(port);
    active.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("the request is there", || origin.requests() == 1);
    let status = running.stop(Signal::TERM);
    assert_eq!(status.code(), Some(4), "{}", running.log());
    assert!(active.read_to_end().is_empty());
}

#[test]
fn sigint_stops_at_once_and_so_does_a_second_signal() {
    for signals in [&[Signal::INT][..], &[Signal::QUIT], &[Signal::TERM, Signal::INT]] {
        let (origin, _release) = holding();
        let port = free_port();
        let mut running = Rosn::start(&config(
            &[http_listener("in", port, "r")],
            &[router_to("r", "c")],
            &[cluster("c", &[origin.port()])],
        ));
        let mut active = Client::connect(port);
        active.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        wait_until("the request is there", || origin.requests() == 1);
        for (at, signal) in signals.iter().enumerate() {
            running.signal(*signal);
            if at + 1 < signals.len() {
                wait_until("it is draining", || running.log().contains("stopping"));
            }
        }
        let status = running.wait();
        assert!(status.code().is_some(), "{signals:?} killed it: {status}");
        assert!(active.read_to_end().is_empty());
    }
}

#[test]
fn sigusr1_opens_the_logs_anew() {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let access = folder.path().join("access.log");
    let mut logging = answering(port, "x");
    logging["servers"][0]["listeners"][0]["access_logs"] =
        json!([{ "log_path": access, "log_format": "%x-mosn-path%" }]);
    let running = Rosn::start(&logging);
    let log = running.folder().join("rosn.log");
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let mut client = Client::connect(port);
    client.get("/first");
    wait_until("the first line is there", || read(&access) == "/first\n");
    let (old_access, old_log) = (folder.path().join("access.old"), folder.path().join("log.old"));
    fs::rename(&access, &old_access).unwrap();
    fs::rename(&log, &old_log).unwrap();
    running.signal(Signal::USR1);
    wait_until("the files are there again", || access.exists() && log.exists());
    client.get("/second");
    wait_until("the second line is there", || read(&access) == "/second\n");
    assert_eq!(read(&old_access), "/first\n");
    assert!(running.reload().0);
    wait_until("the log goes on in the new file", || read(&log).contains("reloaded"));
    assert!(!read(&old_log).contains("reloaded"));
}

#[test]
fn check_in_json_and_strict() {
    let folder = tempfile::tempdir().unwrap();
    let mut odd = answering(free_port(), "x");
    odd["servers"][0]["listeners"][0]["colour"] = json!("blue");
    let file = write(folder.path(), &odd);
    let output = rosn(&["check", "-c", &file, "--format", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found.to_string().contains("servers[0].listeners[0].colour"), "{found}");
    let strict = rosn(&["check", "-c", &file, "--strict"]);
    assert_eq!(strict.status.code(), Some(1));
    assert!(said(&strict).contains("colour"));
}

#[test]
fn without_a_configuration_it_runs_its_own() {
    rosn_tests::netns::Namespace::new("own").enter(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Rosn::command();
        command.current_dir(folder.path()).env("XDG_RUNTIME_DIR", folder.path());
        let stdout = fs::File::create(folder.path().join("stdout")).unwrap();
        let mut child = command.stdout(stdout).spawn().unwrap();
        let url = "http://127.0.0.1:2045/";
        let retry = [
            "--retry",
            "100",
            "--retry-connrefused",
            "--retry-delay",
            "0",
            "--retry-max-time",
            "10",
            url,
        ];
        let welcome = rosn_tests::programs::curl(&retry);
        let banner = fs::read_to_string(folder.path().join("stdout")).unwrap();
        let stop = |arguments: &[&str]| {
            Rosn::command()
                .args(arguments)
                .current_dir(folder.path())
                .env("XDG_RUNTIME_DIR", folder.path())
                .output()
        };
        let stopped = stop(&["stop"]).unwrap();
        let status = child.wait().unwrap();
        assert!(welcome.starts_with("Welcome to MOSN!"), "{welcome}");
        assert!(
            banner.contains("curl http://127.0.0.1:2045/") && banner.contains("127.0.0.1:34901"),
            "{banner}"
        );
        assert!(stopped.status.success(), "{}", said(&stopped));
        assert!(status.success());
    });
}
