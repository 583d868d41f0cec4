//! What the guides say is true: their commands run, and their configurations are without a fault.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rosn_tests::l4::local;
use rosn_tests::origin::{Origin, ok};
use rosn_tests::{Rosn, free_port, wait_until};
use tempfile::TempDir;

/// A guide with ports and paths of this test's own, and the place for its files.
struct Guide {
    text: String,
    folder: TempDir,
    entry: u16,
    origin: Origin,
}

impl Guide {
    fn tunnels() -> Self {
        let folder = TempDir::with_prefix("rosn-guide-").unwrap();
        let origin = Origin::http(|request| ok(&request.target));
        let entry = free_port();
        let text = include_str!("../../docs/guide/tunnels.md")
            .replace(":1080", &format!(":{entry}"))
            .replace(":8443", &format!(":{}", free_port()))
            .replace(":8080", &format!(":{}", origin.port()))
            .replace("34901", &free_port().to_string())
            .replace("/tmp/", &format!("{}/", folder.path().display()));
        let guide = Self { text, folder, entry, origin };
        let certificates = guide.text.split("## ").find(|part| part.starts_with("Certificates"));
        let script: Vec<_> =
            certificates.unwrap().lines().filter_map(|line| line.strip_prefix("    ")).collect();
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", &script.join("\n")]).current_dir(guide.folder.path());
        let done = shell.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        guide
    }

    /// Pairs of FROM at the edge and TO at the site.
    fn tunnels_of_one_line(&self) -> Vec<(String, String)> {
        let rows = self.text.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |"));
        let cells = rows.map(|row| row.split('`').map(str::to_owned).collect::<Vec<_>>());
        cells.map(|cells| (cells[1].clone(), cells[3].clone())).collect()
    }

    /// The configurations, in their order.
    fn configurations(&self) -> Vec<&str> {
        let blocks = self.text.split("```json\n").skip(1);
        blocks.map(|block| block.split("```").next().unwrap()).collect()
    }

    /// Runs both ends until a request has come through.
    fn comes_through(&self, edge: &[&str], site: &[&str]) {
        let _ends = [End::start(self.folder.path(), edge), End::start(self.folder.path(), site)];
        wait_until(&format!("a request comes through {edge:?} {site:?}"), || self.asks());
    }

    fn asks(&self) -> bool {
        let Ok(mut client) = TcpStream::connect(local(self.entry)) else { return false };
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let request = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
        let (mut answer, mut room) = (Vec::new(), [0; 1024]);
        if client.write_all(request).is_err() {
            return false;
        }
        while !answer.ends_with(b"/hello") {
            match client.read(&mut room) {
                Ok(0) | Err(_) => return false,
                Ok(count) => answer.extend_from_slice(&room[..count]),
            }
        }
        true
    }
}

/// A running rosn; dropping it ends it.
struct End(Child);

impl End {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let log = || File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut command = Rosn::command();
        command.args(arguments).current_dir(folder).stdin(Stdio::null());
        Self(command.stdout(log()).stderr(log()).spawn().unwrap())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_tunnel_of_one_line_carries_a_request() {
    let guide = Guide::tunnels();
    let entry = format!("tcp://127.0.0.1:{}", guide.entry);
    let origin = format!("tcp://127.0.0.1:{}", guide.origin.port());
    let tunnels = guide.tunnels_of_one_line();
    assert!(tunnels.len() > 10, "{tunnels:?}");
    for (from, to) in &tunnels {
        guide.comes_through(&["forward", from, &origin], &["forward", &entry, to]);
    }
}

#[test]
fn the_two_configurations_make_a_tunnel() {
    let guide = Guide::tunnels();
    for (name, text) in ["edge", "site"].iter().zip(guide.configurations()) {
        fs::create_dir(guide.folder.path().join(name)).unwrap();
        fs::write(guide.folder.path().join(format!("{name}.json")), text).unwrap();
    }
    guide.comes_through(&["start", "-c", "edge.json"], &["start", "-c", "site.json"]);
}

/// Each guide with configurations, and how many it has. Those of the guide to tunnels are run, above.
const GUIDES: &[(&str, &str, usize)] = &[
    ("first-proxy", include_str!("../../docs/guide/first-proxy.md"), 1),
    ("http2", include_str!("../../docs/guide/http2.md"), 2),
    ("tls", include_str!("../../docs/guide/tls.md"), 3),
    ("upgrade", include_str!("../../docs/guide/upgrade.md"), 3),
];

#[test]
fn whole_configurations_have_no_fault() {
    let folder = certificates();
    for (guide, text, count) in GUIDES {
        let texts: Vec<_> = text.split("```json\n").skip(1).collect();
        assert_eq!(texts.len(), *count, "{guide}");
        for (at, text) in texts.iter().enumerate() {
            let mut text = text.split("```").next().unwrap().to_owned();
            if !text.contains("\"servers\"") {
                // clusters alone
                text = text.replacen('{', "{ \"servers\": [{ \"listeners\": [] }],", 1);
            }
            no_fault(&format!("{guide}-{at}"), &text, &folder);
        }
    }
}

#[test]
fn examples_have_no_fault() {
    let folder = certificates();
    let examples: Vec<_> = fs::read_dir("../examples/configs").unwrap().collect();
    assert!(examples.len() > 1);
    for example in examples {
        let path = example.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        no_fault(name, &fs::read_to_string(&path).unwrap(), &folder);
    }
}

/// A folder with the certificates that the guide to TLS makes, by its own commands.
fn certificates() -> TempDir {
    let folder = TempDir::with_prefix("rosn-guide-").unwrap();
    let guide = include_str!("../../docs/guide/tls.md");
    let commands: Vec<_> =
        guide.lines().filter_map(|line| line.strip_prefix("    rosn cert ")).collect();
    assert!(!commands.is_empty());
    for command in commands {
        let mut rosn = Rosn::command();
        rosn.arg("cert").args(command.split(' ')).current_dir(folder.path());
        let done = rosn.output().unwrap();
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }
    folder
}

/// The configuration passes `rosn check` in that folder.
fn no_fault(name: &str, text: &str, folder: &TempDir) {
    let path = folder.path().join(format!("{name}.json"));
    fs::write(&path, text).unwrap();
    let mut check = Rosn::command();
    check.args(["check", "--strict", "-c"]).arg(&path).current_dir(folder.path());
    let done = check.output().unwrap();
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stdout));
}
