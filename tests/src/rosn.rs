//! The program under test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, Response};
use crate::{free_port, wait_until};

pub use rustix::process::Signal;

/// A running rosn with a directory of its own. Dropping it kills it.
#[derive(Debug)]
pub struct Rosn {
    child: Child,
    folder: TempDir,
    config: PathBuf,
    /// The keys that were added to the configuration.
    added: Value,
    baseline: usize,
}

impl Rosn {
    /// Starts it with a configuration and waits until it serves.
    ///
    /// `pid`, `uds_dir`, `admin` and `default_log_path` are added where they are absent.
    ///
    /// # Panics
    ///
    /// With all that it said, if it does not come to serve.
    #[must_use]
    pub fn start(config: &Value) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with further arguments.
    #[must_use]
    pub fn start_with(config: &Value, arguments: &[&str]) -> Self {
        let folder = TempDir::with_prefix("rosn-e2e-").unwrap();
        let path = folder.path().join("config.json");
        let place = |name: &str| folder.path().join(name).display().to_string();
        let added = json!({
            "pid": place("rosn.pid"),
            "uds_dir": place(""),
            "admin": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": free_port() } } },
            "default_log_path": place("rosn.log"),
        });
        write(&path, config, &added);
        Self::launch(folder, path, added, arguments)
    }

    /// Starts it with a copy of this file, byte for byte; its logs go where that says, or beside it.
    #[must_use]
    pub fn start_file(path: &Path) -> Self {
        Self::start_file_near(path, None)
    }

    /// The same; a copy of the folder `near` is where the configuration finds it as `../NAME`.
    #[must_use]
    pub fn start_file_near(path: &Path, near: Option<&Path>) -> Self {
        let folder = TempDir::with_prefix("rosn-e2e-").unwrap();
        if let Some(near) = near {
            let copy = folder.path().join(near.file_name().unwrap());
            fs::create_dir(&copy).unwrap();
            for entry in fs::read_dir(near).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
            }
        }
        let configs = folder.path().join("configs");
        fs::create_dir(&configs).unwrap();
        let copy = configs.join(path.file_name().unwrap());
        fs::copy(path, &copy).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::launch(folder, copy, json!({}), &[])
    }

    /// The program, for other sub-commands.
    ///
    /// # Panics
    ///
    /// If it is not built, with the command that builds it.
    #[must_use]
    pub fn command() -> Command {
        let own = std::env::current_exe().unwrap();
        let folder = own.parent().and_then(Path::parent).unwrap();
        let rosn = folder.join("rosn");
        assert!(
            rosn.is_file(),
            "{} is not there: `cargo build -p rosn` makes it, and so does `cargo test --workspace`",
            rosn.display()
        );
        let mut command = Command::new(rosn);
        command.env_remove("MOSN_CONFIG").env_remove("LOG_LEVEL");
        command
    }

    fn launch(folder: TempDir, config: PathBuf, added: Value, arguments: &[&str]) -> Self {
        let open = |name: &str| File::create(folder.path().join(name)).unwrap();
        let child = Self::command()
            .arg("start")
            .arg("-c")
            .arg(&config)
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(open("stdout"))
            .stderr(open("stderr"))
            .spawn()
            .unwrap();
        let mut rosn = Self { child, folder, config, added, baseline: 0 };
        let mut ended = None;
        let end = std::time::Instant::now() + 2 * crate::PATIENCE;
        while !rosn.is_ready() {
            ended = ended.or(rosn.child.try_wait().unwrap());
            let late = std::time::Instant::now() > end;
            assert!(ended.is_none() && !late, "rosn does not serve ({ended:?}):\n{}", rosn.log());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        rosn.baseline = rosn.steady_fds();
        rosn
    }

    fn is_ready(&self) -> bool {
        self.try_admin("GET", "/ready").is_some_and(|response| response.status == 200)
    }

    /// A number of descriptors that stays the same for a while.
    fn steady_fds(&self) -> usize {
        let (mut last, mut same) = (0, 0);
        wait_until("the number of descriptors is steady", || {
            let now = self.fds();
            same = if now == last { same + 1 } else { 0 };
            last = now;
            same > 5
        });
        last
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its own directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file that it was started with.
    #[must_use]
    pub fn config_path(&self) -> &Path {
        &self.config
    }

    /// The port of the admin API, where the harness has chosen it.
    #[must_use]
    pub fn admin_port(&self) -> u16 {
        let port = &self.added["admin"]["address"]["socket_address"]["port_value"];
        port.as_u64().and_then(|port| u16::try_from(port).ok()).expect("the harness chose a port")
    }

    /// Asks the admin API over the control socket; the body of the answer.
    #[must_use]
    pub fn admin_get(&self, path: &str) -> String {
        self.admin("GET", path).text()
    }

    /// Asks the admin API over the control socket.
    #[must_use]
    pub fn admin(&self, method: &str, path: &str) -> Response {
        self.try_admin(method, path)
            .unwrap_or_else(|| panic!("the control socket is not there:\n{}", self.log()))
    }

    fn try_admin(&self, method: &str, path: &str) -> Option<Response> {
        let folder = self.config.parent()?;
        let sockets = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        let mut sockets = sockets.filter(|path| path.extension().is_some_and(|end| end == "sock"));
        let mut client = sockets.find_map(|path| Client::try_connect_unix(&path).ok())?;
        Some(client.request(method, path, &[("Connection", "close")], b""))
    }

    /// All that it has said: its log, standard output and standard error.
    #[must_use]
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        ["rosn.log", "logs/mosn.log", "stdout", "stderr"].map(read).concat()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Sends a signal and waits for the end of the process.
    pub fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }

    /// Waits for the end of the process: longer than `graceful_timeout` is here.
    pub fn wait(&mut self) -> ExitStatus {
        let end = std::time::Instant::now() + 4 * crate::PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(std::time::Instant::now() < end, "rosn does not end:\n{}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `rosn reload`: whether it went well, and all that it printed.
    pub fn reload(&self) -> (bool, String) {
        let output = Self::command().arg("reload").arg("-c").arg(&self.config).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Replaces the content of its configuration, with the same keys added as at the start.
    pub fn write_config(&self, config: &Value) {
        write(&self.config, config, &self.added);
    }

    /// The metric with exactly these labels, as Prometheus would read it; 0 where it is not there.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut wanted: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        wanted.sort();
        let text = self.admin_get("/metrics");
        let value = text.lines().find_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, labels) = series.split_once('{').unwrap_or((series, "}"));
            let mut labels: Vec<&str> =
                labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).collect();
            labels.sort_unstable();
            (found == name && labels == wanted).then(|| value.parse().expect("a number"))
        });
        value.unwrap_or(0.0)
    }

    /// Open connections and active requests: downstream, requests, upstream.
    #[must_use]
    pub fn active(&self) -> (u64, u64, u64) {
        let text = self.admin_get("/api/v1/connections");
        let all: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
        let count = |key: &str| all["total"][key].as_u64().unwrap_or_else(|| panic!("{text}"));
        (count("downstream"), count("requests"), count("upstream"))
    }

    /// Waits until nothing is going on: no client, no request, and no descriptor more than after the start
    /// but those of pooled upstream connections.
    ///
    /// # Panics
    ///
    /// If that does not come about within [`PATIENCE`](crate::PATIENCE).
    pub fn settled(&self) {
        self.settle("settled", |_| true);
    }

    /// The same, with no upstream connection either.
    pub fn settled_without_upstream(&self) {
        self.settle("settled without upstream connections", |upstream| upstream == 0);
    }

    fn settle(&self, what: &str, upstream_fits: impl Fn(u64) -> bool) {
        let end = std::time::Instant::now() + crate::PATIENCE;
        loop {
            let (downstream, requests, upstream) = self.active();
            let expected = self.baseline + usize::try_from(upstream).unwrap();
            let fds = self.fds();
            if downstream == 0 && requests == 0 && fds <= expected && upstream_fits(upstream) {
                return;
            }
            assert!(
                std::time::Instant::now() < end,
                "not {what}: {downstream} connections, {requests} requests, {upstream} upstream \
                 connections, {fds} descriptors of {expected}\n{:#?}\n{}",
                self.descriptors(),
                self.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Resident memory, in bytes.
    #[must_use]
    pub fn rss(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
    }

    /// How many descriptors it has open.
    #[must_use]
    pub fn fds(&self) -> usize {
        self.descriptors().len()
    }

    fn descriptors(&self) -> Vec<String> {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        let links = folder.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.map(|link| link.display().to_string()).collect()
    }
}

impl Drop for Rosn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("what rosn said:\n{}", self.log());
        }
    }
}

/// Writes a configuration with what is absent of the keys to add.
fn write(path: &Path, config: &Value, added: &Value) {
    let mut config = config.clone();
    for (key, value) in added.as_object().unwrap() {
        let place = if key == "default_log_path" { &mut config["servers"][0] } else { &mut config };
        if place[key].is_null() {
            place[key] = value.clone();
        }
    }
    fs::write(path, serde_json::to_string_pretty(&config).unwrap()).unwrap();
}
