//! Load generator and backend of the side-by-side benchmark: one thread, epoll, loopback only.
//!
//! One process can be both ends (`--with-backend`), so that a proxy on one core faces exactly one
//! other core. The generator polls without sleeping: it never adds the cost of a wake-up to the
//! latency that it measures.
//!
//! ```text
//! lg backend
//! lg http  --addr A [--conns N] [--path P] [--secs S] [--requests N] [--close] [--rate R] [--warm S] [--hosts N] [--tls [--pq] [--resume]] [--with-backend]
//! lg h2    --addr A [--conns N] [--streams N] [--path P] [--grpc] [--secs S] [--requests N] [--tls [--pq]] [--with-backend]
//! lg ws    --addr A [--conns N] [--size BYTES] [--secs S] [--with-backend]
//! lg download|upload --addr A [--conns N] [--secs S] [--with-backend]
//! lg idle  --addr A [--conns N] [--h2] [--tls [--pq]]
//! lg relay --port P --addr A [--loss PERCENT] [--delay MS] [--seed N]
//! ```
//!
//! `http`, `h2`, `ws` and the bulk modes print one JSON object; `idle` prints `ready` once every connection has
//! had its response, and holds them until standard input closes. `relay` loses and delays datagrams.

mod args;
mod backend;
mod bulk;
mod echo;
mod frame;
mod h2;
mod histogram;
mod http;
mod idle;
mod link;
mod relay;
mod request;
mod response;
mod sys;
mod tls;
mod ws;

use std::process::ExitCode;

use args::Args;

fn main() -> ExitCode {
    let args = Args::from_env();
    let outcome = match args.mode() {
        "backend" => backend::serve(),
        "http" => http::run(&args),
        "h2" => h2::run(&args),
        "ws" => ws::run(&args),
        "download" => bulk::run(&args, bulk::Direction::Download),
        "upload" => bulk::run(&args, bulk::Direction::Upload),
        "idle" => idle::run(&args),
        "relay" => relay::run(&args),
        other => Err(format!(
            "unknown mode {other:?}: backend, http, h2, ws, download, upload, idle or relay"
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("lg: {reason}");
            ExitCode::FAILURE
        }
    }
}
