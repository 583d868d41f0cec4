//! End to end tests of rosn: the real binary, real sockets, real peers.
//!
//! A test makes a configuration with [`config`], starts [`Rosn`] with it, speaks to it with
//! [`client::Client`] or with a program such as curl, and has an [`origin::Origin`] behind it. Everything
//! blocks; waiting is asking again ([`wait_until`]), never a fixed time.
//!
//! ```no_run
//! use rosn_tests::client::Client;
//! use rosn_tests::config::{cluster, config, http_listener, router_to};
//! use rosn_tests::origin::{Origin, ok};
//! use rosn_tests::{Rosn, free_port};
//!
//! let origin = Origin::http(|request| ok(&request.target));
//! let port = free_port();
//! let rosn = Rosn::start(&config(
//!     &[http_listener("in", port, "r")],
//!     &[router_to("r", "c")],
//!     &[cluster("c", &[origin.port()])],
//! ));
//! assert_eq!(Client::connect(port).get("/hello").body, b"/hello");
//! rosn.settled();
//! ```
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test ends by a panic")]

pub mod client;
pub mod config;
pub mod dns;
pub mod http2;
pub mod l4;
pub mod netns;
pub mod origin;
pub mod pki;
pub mod probe;
pub mod programs;
mod rosn;
pub mod tunnel;

use std::hash::{BuildHasher, RandomState};
use std::net::{TcpListener, UdpSocket};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

pub use rosn::{Rosn, Signal};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A port that is free for TCP and UDP, on 127.0.0.1 and on all addresses.
///
/// It is not one that the system gives to clients, nor one of the scripts in `tests/interop`, so that nobody takes it
/// before the test does, and no two calls in one process give the same.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 8_000;
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        // Test programs that run beside each other start at different places.
        let draw = RandomState::new().hash_one(std::process::id());
        AtomicU16::new((draw % u64::from(COUNT)) as u16)
    });
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        let everywhere = ("0.0.0.0", port);
        if TcpListener::bind(everywhere).is_ok() && UdpSocket::bind(everywhere).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// Asks again and again until `f` says yes.
///
/// # Panics
///
/// With `what`, if it has not said yes within [`PATIENCE`].
pub fn wait_until(what: &str, mut f: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !f() {
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
