//! Network namespaces: machines of their own, joined by cables, for tests of redirection.
//!
//! Needs root, `ip` and `iptables`.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace, which is removed on drop with all that is in it.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A namespace with nothing but a loopback interface.
    pub fn new(what: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("rosn-{}-{}-{what}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        run(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    /// Joins two namespaces by a cable with these addresses (`ip/prefix`) at its ends.
    pub fn join(
        &self,
        device: &str,
        addresses: &[&str],
        other: &Self,
        other_device: &str,
        other_addresses: &[&str],
    ) {
        run(Command::new("ip").args([
            "link",
            "add",
            device,
            "netns",
            &self.name,
            "type",
            "veth",
            "peer",
            "name",
            other_device,
            "netns",
            &other.name,
        ]));
        for (end, device, addresses) in
            [(self, device, addresses), (other, other_device, other_addresses)]
        {
            for address in addresses {
                let nodad = if address.contains(':') { " nodad" } else { "" };
                end.ip(&format!("addr add {address} dev {device}{nodad}"));
            }
            end.ip(&format!("link set {device} up"));
        }
    }

    /// Runs `ip` with these words in the namespace.
    pub fn ip(&self, words: &str) {
        run(Command::new("ip").args(["-n", &self.name]).args(words.split_whitespace()));
    }

    /// Runs a command in the namespace; its output.
    pub fn exec(&self, words: &str) -> String {
        run(Command::new("ip").args(["netns", "exec", &self.name]).args(words.split_whitespace()))
    }

    /// Runs a function on a thread in the namespace: its sockets, and its child processes, are there.
    pub fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let path = format!("/run/netns/{}", self.name);
                let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                    .unwrap_or_else(|error| {
                        panic!("cannot enter {path} (this test needs root): {error}")
                    });
                f()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

fn run(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| {
        panic!("{shown}: {error} (this test needs root, iproute2 and iptables: tests/run.sh installs them)")
    });
    assert!(
        output.status.success(),
        "{shown} failed (this test needs root, iproute2 and iptables): {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
