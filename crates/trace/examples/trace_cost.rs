//! What a trace costs at each point that reports to it, in nanoseconds: without one, with one that does not want the
//! event, and with `Timings`; and what the events of a whole request on a reused connection cost. Build it with
//! `--release`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use rosn_trace::{
    Callbacks, ClientTrace, ConnId, Event, GotConnInfo, Interest, Timings, TraceHandle,
};

const ROUNDS: u32 = 10_000_000;

fn nanos(rounds: u32, mut call: impl FnMut()) -> f64 {
    let begun = Instant::now();
    for _ in 0..rounds {
        call();
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
}

/// The loop alone is taken off.
fn point(what: &str, trace: &TraceHandle) {
    let empty = nanos(ROUNDS, || {
        black_box(trace);
    });
    let point = nanos(ROUNDS, || {
        black_box(trace).emit(Interest::READ, || Event::FirstResponseByte);
    });
    println!("{what:<34} {:>8.2}", (point - empty).max(0.0));
}

fn request(conn: ConnId, mut report: impl FnMut(&Event<'_>)) {
    report(&Event::GetConn { authority: "a:80", attempt: 1 });
    report(&Event::GotConn(&GotConnInfo {
        conn,
        dial: None,
        local: None,
        peer: None,
        reused: true,
        was_idle: true,
        idle: Duration::ZERO,
        requests_before: 1,
    }));
    report(&Event::WroteHeaders);
    report(&Event::WroteRequest { bytes: 0, body_sent: true, result: Ok(()) });
    report(&Event::FirstResponseByte);
    report(&Event::ResponseHead { status: StatusCode::OK });
    report(&Event::ResponseBodyDone { bytes: 0, result: Ok(()) });
    report(&Event::PutIdle { conn, result: Ok(()) });
}

fn main() {
    println!("{:<34} {:>8}", "a trace point", "ns");
    point("no trace", &TraceHandle::none());
    let uninterested = Callbacks::new().on(Interest::TLS, |_, _| ());
    point("a trace that does not want it", &TraceHandle::new(uninterested));
    point("Timings", &TraceHandle::new(Timings::start()));
    println!(
        "{:<34} {:>8.2}",
        "a reading of the clock",
        nanos(ROUNDS, || {
            black_box(Instant::now());
        })
    );

    println!("\n{:<34} {:>8}", "a request: 8 events", "ns");
    let (conn, rounds) = (ConnId::next(), ROUNDS / 10);
    let mut own = Timings::start();
    let whole = nanos(rounds, || {
        own.reset();
        let at = Instant::now();
        request(conn, |event| own.event(at, event));
    });
    println!("{:<34} {whole:>8.2}", "own Timings, the clock read twice");
    let whole = nanos(rounds, || {
        let timings = Arc::new(Timings::start());
        let trace = TraceHandle::new(Arc::clone(&timings));
        request(conn, |event| trace.emit(event.kind(), || *event));
        timings.close();
    });
    println!("{:<34} {whole:>8.2}", "a new Timings in a handle, closed");
    let whole = nanos(rounds, || {
        black_box(own.snapshot());
    });
    println!("{:<34} {whole:>8.2}", "a snapshot");
}
