//! What hooks cost, in nanoseconds: without one, with one that does nothing, and with a [`Switch`]. Build it with
//! `--release`.
//!
//! The bare path is the question "is a hook installed?" alone, asked once per socket call; the others are a UDP socket
//! that is opened and closed (five calls that hooks see, and the system calls themselves).

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use rosn_net::hook::{SocketHook, Switch, install, installed};
use rosn_net::{DialOptions, dial_udp};

struct Nothing;

impl SocketHook for Nothing {}

fn nanos(rounds: u32, mut call: impl FnMut()) -> f64 {
    let begun = Instant::now();
    for _ in 0..rounds {
        call();
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
}

fn row(what: &str) -> Result<(), Box<dyn std::error::Error>> {
    let target = "127.0.0.1:9".parse()?;
    let options = DialOptions::default();
    dial_udp(target, &options)?;
    let question = nanos(10_000_000, || drop(black_box(installed())));
    let socket = nanos(100_000, || drop(black_box(dial_udp(target, &options))));
    println!("{what:<22} {question:>10.2} {socket:>12.0}");
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{:<22} {:>10} {:>12}", "ns", "question", "UDP socket");
    row("no hook")?;
    let guard = install(Arc::new(Nothing));
    row("a hook, doing nothing")?;
    drop(guard);
    let guard = install(Arc::new(Switch::new()));
    row("a switch")?;
    drop(guard);
    row("no hook any more")
}
