//! Real clients before rosn, real servers behind it.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::fs;
use std::path::Path;

use rosn_tests::config::{cluster, config, http_listener, router_to};
use rosn_tests::origin::{Origin, ok};
use rosn_tests::programs::{Server, curl, program, run, text};
use rosn_tests::{Rosn, free_port};

struct Setup {
    rosn: Rosn,
    port: u16,
}

impl Setup {
    fn before(origin: u16) -> Self {
        let port = free_port();
        let listener = http_listener("in", port, "r");
        let rosn =
            Rosn::start(&config(&[listener], &[router_to("r", "c")], &[cluster("c", &[origin])]));
        Self { rosn, port }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Says what it got: method, length, framing, checksum of the body.
fn describe() -> Origin {
    Origin::http(|request| {
        let header = |name| request.header(name).unwrap_or_default();
        ok(&format!(
            "{} {} {} {} {}",
            request.method,
            request.body.len(),
            header("transfer-encoding"),
            header("expect"),
            checksum(&request.body)
        ))
    })
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Bytes that do not repeat early.
fn content(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = std::iter::repeat_with(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    next.take(count).collect()
}

fn file(folder: &Path, bytes: &[u8]) -> String {
    let path = folder.join("upload");
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

#[test]
fn curl_keeps_its_connection() {
    let origin = describe();
    let setup = Setup::before(origin.port());
    let urls: Vec<String> = (0..5).map(|n| setup.url(&format!("/{n}"))).collect();
    let mut arguments = vec!["--write-out", "|%{num_connects}|"];
    arguments.extend(urls.iter().map(String::as_str));
    let said = curl(&arguments);
    assert_eq!(said.matches("|1|").count(), 1, "{said}");
    assert_eq!(said.matches("|0|").count(), 4, "{said}");
    assert_eq!(origin.connections(), 1);
    setup.rosn.settled();
}

#[test]
fn curl_posts_with_expect_and_in_chunks() {
    let origin = describe();
    let setup = Setup::before(origin.port());
    let folder = tempfile::tempdir().unwrap();
    let bytes = content(3_000_000);
    let upload = format!("@{}", file(folder.path(), &bytes));
    let (url, sum) = (setup.url("/"), checksum(&bytes));
    let expect = ["--header", "Expect: 100-continue", "--expect100-timeout", "15"];
    let said = curl(&[&expect[..], &["--data-binary", &upload, &url]].concat());
    assert!(said.starts_with("POST 3000000 ") && said.ends_with(&format!(" {sum}")), "{said}");
    let chunked = ["--header", "Transfer-Encoding: chunked", "--data-binary", &upload, &url];
    let said = curl(&chunked);
    assert!(
        said.starts_with("POST 3000000 chunked ") && said.ends_with(&format!(" {sum}")),
        "{said}"
    );
    let both = curl(&[&expect[..], &chunked].concat());
    assert!(
        both.starts_with("POST 3000000 chunked ") && both.ends_with(&format!(" {sum}")),
        "{both}"
    );
    let plain = curl(&["--header", "Expect:", "--data-binary", &upload, &url]);
    assert_eq!(plain, format!("POST 3000000   {sum}"));
    // From a pipe, the length is not known.
    let shell = format!("head -c 200000 {} | curl -sS -m 20 -T - {url}", &upload[1..]);
    let piped = text(&run(program("sh").args(["-c", &shell])));
    let end = format!(" {}", checksum(&bytes[..200_000]));
    assert!(piped.starts_with("PUT 200000 chunked ") && piped.trim().ends_with(&end), "{piped}");
    setup.rosn.settled();
}

#[test]
fn curl_and_nginx_move_files_both_ways() {
    let port = free_port();
    let nginx = Server::nginx(&format!("127.0.0.1:{port}"));
    let setup = Setup::before(port);
    let folder = tempfile::tempdir().unwrap();
    let bytes = content(40 << 20);
    let upload = file(folder.path(), &bytes);
    let before = setup.rosn.rss();
    // curl waits for 100 Continue by itself here.
    curl(&["--fail", "--upload-file", &upload, &setup.url("/stored")]);
    assert!(fs::read(nginx.root().join("stored")).unwrap() == bytes, "what was stored");
    let copy = folder.path().join("copy").display().to_string();
    curl(&["--fail", "--output", &copy, &setup.url("/stored")]);
    assert!(fs::read(&copy).unwrap() == bytes, "what came back");
    let grown = setup.rosn.rss().saturating_sub(before);
    assert!(grown < 16 << 20, "bodies are streamed, not kept: {grown} bytes more");
    let head = curl(&["--head", &setup.url("/stored")]);
    assert!(
        head.starts_with("HTTP/1.1 200 ")
            && head.contains(&format!("Content-Length: {}", 40 << 20)),
        "{head}"
    );
    let part = curl(&[
        "--range",
        "100-104",
        "--write-out",
        "|%{http_code}",
        "--output",
        &copy,
        &setup.url("/stored"),
    ]);
    assert_eq!((part.as_str(), fs::read(&copy).unwrap().as_slice()), ("|206", &bytes[100..105]));
    let etag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap().trim().to_owned();
    let condition = format!("If-None-Match: {etag}");
    let unchanged = [
        "--header",
        &condition,
        "--write-out",
        "%{http_code}",
        &setup.url("/stored"),
        &setup.url("/hello"),
    ];
    let said = curl(&unchanged);
    assert!(said.starts_with("304nginx: GET /hello"), "{said}");
    setup.rosn.settled();
}

#[test]
fn python_serves_files() {
    let port = free_port();
    let python = Server::python(port);
    let bytes = content(5 << 20);
    fs::write(python.root().join("file"), &bytes).unwrap();
    let setup = Setup::before(port);
    let copy = python.root().join("copy").display().to_string();
    for _ in 0..3 {
        curl(&["--fail", "--output", &copy, &setup.url("/file")]);
        assert!(fs::read(&copy).unwrap() == bytes);
    }
    assert!(curl(&[&setup.url("/")]).contains("<a href=\"file\">file</a>"), "the list of files");
    let code = curl(&[
        "--output",
        &copy,
        "--write-out",
        "%{http_code}",
        "--request",
        "POST",
        &setup.url("/file"),
    ]);
    assert_eq!(code, "501");
    setup.rosn.settled();
}

#[test]
fn python_is_a_client_too() {
    let origin = describe();
    let setup = Setup::before(origin.port());
    let script = format!(
        "import http.client\n\
         c = http.client.HTTPConnection('127.0.0.1', {})\n\
         for n in range(3):\n\
         \tc.request('POST', '/', body=b'x' * (n * 70000 + 1)); print(c.getresponse().read().decode())\n\
         c.request('POST', '/', body=iter([b'abc', b'def']), encode_chunked=True)\n\
         print(c.getresponse().read().decode())\n",
        setup.port
    );
    let said = text(&run(program("python3").args(["-c", &script])));
    let lines: Vec<&str> = said.lines().collect();
    for (line, begin) in
        lines.iter().zip(["POST 1 ", "POST 70001 ", "POST 140001 ", "POST 6 chunked "])
    {
        assert!(line.starts_with(begin), "{said}");
    }
    assert_eq!(lines.len(), 4, "{said}");
    setup.rosn.settled();
}

#[test]
fn wrk_finds_no_error() {
    let port = free_port();
    let nginx = Server::nginx(&format!("127.0.0.1:{port}"));
    fs::write(nginx.root().join("1k"), content(1024)).unwrap();
    let setup = Setup::before(port);
    let mut wrk = program("wrk");
    let said = text(&run(wrk.args(["-t1", "-c32", "-d2s"]).arg(setup.url("/1k"))));
    assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
    setup.rosn.settled();
    // wrk gives up what is under way when its time is over.
    let total = setup.rosn.metric("downstream_request_total", &[("listener", "in")]);
    let good = setup.rosn.metric("downstream_request_200_total", &[("listener", "in")]);
    let gone = setup.rosn.metric("downstream_request_499_total", &[("listener", "in")]);
    assert!(total > 100.0 && total == good + gone && gone <= 32.0, "{total} {good} {gone}");
}
