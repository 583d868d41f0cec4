//! The built program: what it prints and how it exits. Standard output is no terminal here.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// The program in a folder and an environment of its own.
fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rosn"));
    command.args(args).current_dir(folder).env_clear().env("XDG_RUNTIME_DIR", folder);
    command
}

fn rosn(folder: &Path, args: &[&str]) -> Ran {
    run(command(folder, args))
}

fn run(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

const GOOD: &str = r#"{
  "servers": [{
    "listeners": [{
      "name": "in",
      "address": "127.0.0.1:2045",
      "bind_port": true,
      "filter_chains": [{"filters": [{"type": "tcp_proxy", "config": {"cluster": "up"}}]}]
    }]
  }],
  "cluster_manager": {"clusters": [
    {"name": "up", "type": "SIMPLE", "lb_type": "LB_RANDOM", "hosts": [{"address": "127.0.0.1:1"}]}
  ]}
}
"#;

/// A folder with `conf/config.json`.
fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("conf")).unwrap();
    fs::write(folder.path().join("conf/config.json"), config).unwrap();
    folder
}

const CONFIG: &str = "conf/config.json";

#[test]
fn versions_and_help() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["-v"][..], &["--version"], &["version"]] {
        let ran = rosn(folder.path(), args);
        assert_eq!(ran.code, 0);
        assert!(
            ran.out.starts_with(concat!("rosn ", env!("CARGO_PKG_VERSION"), " (")),
            "{}",
            ran.out
        );
    }
    assert_eq!(rosn(folder.path(), &["version", "--format", "json"]).json()["name"], "rosn");
    for word in ["start", "stop", "reload", "check", "schema", "version"] {
        let ran = rosn(folder.path(), &[word, "--help"]);
        assert_eq!(ran.code, 0, "{word}");
        assert!(ran.out.contains(&format!("Examples:\n  rosn {word}")), "{}", ran.out);
        assert!(!ran.out.contains('\u{1b}'), "{word} is coloured");
    }
    let help = rosn(folder.path(), &["help"]).out;
    assert!(help.contains("Accepted for compatibility, without effect:"), "{help}");
    assert!(!rosn(folder.path(), &["-h"]).out.contains("--restart-epoch"));
}

#[test]
fn a_wrong_command_line_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    for (args, said) in [
        (&["strat"][..], "start"),
        (&["start", "--wach"], "--watch"),
        (&["start", "-c"], "value"),
        (&["start", "-c", ""], "without a file name"),
        (&["start", "-f", "auto=true"], "auto_config"),
        (&["check", "--format", "xml"], "json"),
    ] {
        let ran = rosn(folder.path(), args);
        assert_eq!(ran.code, 1, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(said) && ran.out.is_empty(), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_good_configuration_is_told_so() {
    let folder = folder(GOOD);
    let ran = rosn(folder.path(), &["check", "-c", CONFIG]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "0 errors, 0 warnings, 0 notices\n"));
    let ran = rosn(folder.path(), &["check", "-c", CONFIG, "--format", "json"]);
    assert_eq!((ran.code, ran.json()["errors"].as_u64()), (0, Some(0)));
}

#[test]
fn the_built_in_configuration_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let ran = rosn(folder.path(), &["check", "--strict"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.out.contains("0 errors, 0 warnings, "), "{}", ran.out);
}

#[test]
fn every_fault_is_shown_with_its_place() {
    let bad = GOOD.replace(r#""cluster": "up""#, r#""cluster": "pu""#).replace("2045", "204500");
    let folder = folder(&bad);
    let ran = rosn(folder.path(), &["check", "-c", CONFIG]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.ends_with("2 errors, 0 warnings, 0 notices\n"), "{}", ran.out);
    for part in
        ["conf/config.json:5:", "conf/config.json:7:", "servers[0].listeners[0].address", "`up`"]
    {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}'), "coloured: {}", ran.out);
    let json = rosn(folder.path(), &["check", "-c", CONFIG, "--format", "json"]);
    assert_eq!(json.code, 1);
    assert_eq!(json.json()["diagnostics"].as_array().unwrap().len(), 2);
    assert_eq!(json.json()["diagnostics"][0]["line"], 5);
}

#[test]
fn strict_makes_unknown_keys_errors() {
    let folder = folder(&GOOD.replace(r#""bind_port""#, r#""bind_prot""#));
    let lax = rosn(folder.path(), &["check", "-c", CONFIG]);
    assert_eq!(lax.code, 0, "{}", lax.out);
    assert!(lax.out.contains("bind_port"), "no suggestion: {}", lax.out);
    assert_eq!(rosn(folder.path(), &["check", "-c", CONFIG, "--strict"]).code, 1);
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_a_remedy() {
    let folder = folder("");
    for (path, said) in [("none.json", "none.json"), ("conf", "directory"), (CONFIG, "empty")] {
        for (word, code) in [("check", 1), ("start", 2)] {
            let ran = rosn(folder.path(), &[word, "-c", path]);
            let all = format!("{}{}", ran.out, ran.err);
            assert_eq!(ran.code, code, "{word} {path}: {all}");
            assert!(all.contains(path) && all.contains(said), "{word} {path}: {all}");
        }
    }
    let missing = rosn(folder.path(), &["start", "-c", "none.json"]).err;
    assert!(
        missing.contains("MOSN_CONFIG") && missing.contains("configs/mosn_config.json"),
        "{missing}"
    );
}

#[test]
fn the_configuration_is_found_as_in_mosn() {
    let folder = folder(GOOD);
    fs::create_dir(folder.path().join("configs")).unwrap();
    let default = folder.path().join("configs/mosn_config.json");
    fs::write(&default, "{").unwrap();
    let found = |ran: Ran| ran.code == 1 && ran.out.contains("configs/mosn_config.json");
    assert!(found(rosn(folder.path(), &["check"])));
    let mut by_variable = command(folder.path(), &["check"]);
    by_variable.env("MOSN_CONFIG", CONFIG);
    assert_eq!(run(by_variable).code, 0);
    let mut both = command(folder.path(), &["check", "-c", "configs/mosn_config.json"]);
    both.env("MOSN_CONFIG", CONFIG);
    assert!(found(run(both)));
    let mut unset = command(folder.path(), &["check"]);
    unset.env("MOSN_CONFIG", "");
    assert!(found(run(unset)));
}

#[test]
fn schema_and_reference() {
    let folder = tempfile::tempdir().unwrap();
    let schema = rosn(folder.path(), &["schema"]);
    assert_eq!(schema.code, 0);
    assert!(schema.json()["$schema"].as_str().unwrap().contains("2020-12"));
    assert!(schema.out.contains("\"servers\""));
    let page = rosn(folder.path(), &["schema", "--format", "markdown"]);
    assert!(page.code == 0 && page.out.contains("graceful_timeout"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path(), &["schema"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

/// A process that is called `name` and waits.
fn sleeper(folder: &Path, name: &str) -> Child {
    let program = folder.join(name);
    fs::copy("/bin/sleep", &program).unwrap();
    // A shell's background job passes an ignored SIGINT on to what it starts.
    let child =
        Command::new("env").arg("--default-signal=INT").arg(&program).arg("60").spawn().unwrap();
    let comm = format!("/proc/{}/comm", child.id());
    while fs::read_to_string(&comm).unwrap().trim() != name {
        thread::yield_now();
    }
    child
}

fn write_pid(folder: &TempDir, pid: u32) {
    fs::create_dir_all(folder.path().join("logs")).unwrap();
    fs::write(folder.path().join("logs/mosn.pid"), format!("{pid}\n")).unwrap();
}

#[test]
fn stop_ends_the_process_of_the_pid_file() {
    let folder = folder(GOOD);
    let mut child = sleeper(folder.path(), "rosn");
    write_pid(&folder, child.id());
    let ran = rosn(folder.path(), &["stop", "-c", CONFIG]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out, format!("rosn (process {}) has stopped\n", child.id()));
    assert!(!child.wait().unwrap().success());
    let again = rosn(folder.path(), &["stop", "-c", CONFIG, "--format", "json"]);
    assert_eq!(again.code, 1);
    assert_eq!(again.json()["stopped"], false);
    assert!(again.json()["error"].as_str().unwrap().contains("stale"), "{}", again.out);
}

#[test]
fn stop_leaves_other_programs_alone() {
    let folder = folder(GOOD);
    let mut child = sleeper(folder.path(), "other");
    write_pid(&folder, child.id());
    let ran = rosn(folder.path(), &["stop", "-c", CONFIG]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("stale") && ran.err.contains("`other`"), "{}", ran.err);
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn stop_says_when_there_is_nothing_to_stop() {
    let folder = folder(GOOD);
    let ran = rosn(folder.path(), &["stop", "-c", CONFIG]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("logs/mosn.pid") && ran.err.contains("nothing runs"), "{}", ran.err);
    fs::create_dir(folder.path().join("logs")).unwrap();
    fs::write(folder.path().join("logs/mosn.pid"), "rubbish").unwrap();
    assert_eq!(rosn(folder.path(), &["stop", "-c", CONFIG]).code, 1);
}

/// Answers one request on the control socket of `conf/`.
fn answer_once(folder: &TempDir, reply: &'static str) -> thread::JoinHandle<String> {
    let listener = UnixListener::bind(folder.path().join("conf/rosn.sock")).unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        reply_to(stream, reply)
    })
}

/// Reads a head, answers, and gives the head.
fn reply_to(mut stream: impl Read + Write, reply: &str) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    stream.write_all(reply.as_bytes()).unwrap();
    String::from_utf8(request).unwrap()
}

#[test]
fn reload_prints_what_changed() {
    let folder = folder(GOOD);
    let server = answer_once(&folder, "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nchanged");
    let ran = rosn(folder.path(), &["reload", "-c", CONFIG]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "changed\n"), "{}", ran.err);
    assert!(server.join().unwrap().starts_with("POST /api/v1/reload?format=text HTTP/1.1\r\n"));
}

#[test]
fn reload_prints_what_is_wrong() {
    // The running process is found although its configuration is broken now.
    let folder = folder("{");
    let server = answer_once(&folder, "HTTP/1.1 422 No\r\ncontent-length: 6\r\n\r\nfaults");
    let ran = rosn(folder.path(), &["reload", "-c", CONFIG]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.starts_with("faults\nerror: nothing was changed"), "{}", ran.err);
    server.join().unwrap();
}

#[test]
fn reload_falls_back_to_the_admin_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let admin = format!(
        r#"{{"admin": {{"token": "s3cret", "address": {{"socket_address":
            {{"address": "127.0.0.1", "port_value": {port}}}}}}}, "#
    );
    let folder = folder(&GOOD.replacen('{', &admin, 1));
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        reply_to(stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    });
    let ran = rosn(folder.path(), &["reload", "-c", CONFIG]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(server.join().unwrap().contains("\r\nAuthorization: Bearer s3cret\r\n"));
}

#[test]
fn a_second_start_is_refused() {
    let folder = folder(GOOD);
    write_pid(&folder, 4711);
    let held = fs::File::open(folder.path().join("logs/mosn.pid")).unwrap();
    held.lock().unwrap();
    let ran = rosn(folder.path(), &["start", "-c", CONFIG]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("running already: the process 4711"), "{}", ran.err);
}

#[test]
fn reload_without_a_process_says_so() {
    let folder = folder(GOOD);
    let ran = rosn(folder.path(), &["reload", "-c", CONFIG]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no rosn runs") && ran.err.contains("rosn.sock"), "{}", ran.err);
    let ran = rosn(folder.path(), &["reload", "-c", CONFIG, "--format", "json"]);
    assert!(ran.json()["error"].as_str().unwrap().contains("rosn.sock"));
}
