//! Draws what a request's time was spent on: `waterfall https://example.com/ 3` asks three times.
//!
//! The second time there is a connection, so that the phases that make one are not there.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use rosn_http::connect::uri;
use rosn_http::{Body, RoundTrip as _, Transport};
use rosn_trace::{RequestTraceExt as _, Snapshot, Timings};

/// Columns of the drawing.
const WIDTH: f64 = 60.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = uri(&arguments.next().ok_or("usage: waterfall URL [TIMES]")?)?;
    let times = arguments.next().map_or(Ok(1), |times| times.parse::<u32>())?;
    let transport = Transport::builder().build()?;
    for _ in 0..times {
        let timings = Arc::new(Timings::start());
        let mut request = Request::get(&url).body(Body::empty())?;
        request.with_trace(Arc::clone(&timings));
        let result = transport.round_trip(request).await;
        let read = match result {
            Ok(response) => {
                println!("{} {url}", response.status());
                read_all(response.into_body()).await
            }
            Err(error) => Err(error),
        };
        // A request that fails has phases too.
        draw(&timings.close());
        read?;
    }
    Ok(())
}

async fn read_all(mut body: Body) -> Result<(), rosn_http::Error> {
    while let Some(frame) = body.next().await {
        frame?;
    }
    Ok(())
}

fn draw(snapshot: &Snapshot) {
    let column = |at: Duration| {
        let total = snapshot.total.as_secs_f64();
        if total > 0.0 { (at.as_secs_f64() / total * WIDTH).min(WIDTH) as usize } else { 0 }
    };
    for (phase, span) in snapshot.phases() {
        let Some(duration) = span.duration() else { continue };
        let (start, end) = (column(span.start), column(span.start + duration));
        let bar = "━".repeat((end - start).max(1));
        println!("{:>10} {:>9.3?} {}{bar}", phase.to_string(), duration, " ".repeat(start));
    }
    for tried in &snapshot.connects {
        println!("{:>10} {}: {:?} in {:?}", "", tried.addr, tried.outcome, tried.span.duration());
    }
    let reused = snapshot.conn.is_some_and(|conn| conn.reused);
    println!("{:>10} {:>9.3?}, connection reused: {reused}", "total", snapshot.total);
    if let Some((phase, error)) = snapshot.failed_phase() {
        println!("{:>10} in {phase}: {error}", "failed");
    }
}
