//! One HTTP client in a closed loop against one server, and the CPU time that this process spends on each request; or a
//! server for `lg` to load.
//!
//! ```text
//! client-bench rosn|hyper-util|reqwest|raw --addr A [--request get|post|get-h2] [--concurrency N] [--threads N] [--secs S]
//! client-bench serve-rosn|serve-hyper --port P
//! ```
//!
//! `get` asks for `/1k`, `post` sends 100 bytes to `/0` (the paths of `lg backend`), `get-h2` asks for `/1k` over HTTP/2
//! without TLS. `--concurrency` is the number of tasks that each send one request after another. `--threads 0` is a
//! current-thread runtime. Prints one JSON object.
//!
//! A server has one thread, speaks HTTP/1.1 on P and HTTP/2 on P+1, and answers 1 KiB to everything.

mod clients;
mod servers;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use clients::{Client, HyperUtil, Raw, Reqwest, Rosn};

pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// What a client is asked to send.
#[derive(Clone, Copy)]
pub enum Exchange {
    Get,
    Post,
    GetHttp2,
}

impl Exchange {
    pub const SENT: &'static [u8] = &[b'u'; 100];

    pub fn path(self) -> &'static str {
        match self {
            Self::Get | Self::GetHttp2 => "/1k",
            Self::Post => "/0",
        }
    }

    /// Of the response, in bytes.
    pub fn body(self) -> usize {
        match self {
            Self::Get | Self::GetHttp2 => 1024,
            Self::Post => 0,
        }
    }

    pub fn http2(self) -> bool {
        matches!(self, Self::GetHttp2)
    }
}

struct Plan {
    address: SocketAddr,
    exchange: Exchange,
    concurrency: usize,
    threads: usize,
    time: Duration,
}

/// Tasks of one client over HTTP/2: hyper-util's and reqwest's have one connection, on which the origin allows 128 streams.
const STREAMS: usize = 100;

/// Connections are opened in this time.
const WARM_UP: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("client-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Outcome<String> {
    match words.first().map_or("", String::as_str) {
        "serve-rosn" => return servers::rosn(port(words)?),
        "serve-hyper" => return servers::hyper(port(words)?),
        _ => {}
    }
    let plan = Plan::new(words)?;
    let (address, exchange) = (plan.address, plan.exchange);
    match words.first().map_or("", String::as_str) {
        "rosn" => plan.measure(move || Rosn::new(address, exchange)),
        "hyper-util" => plan.measure(move || HyperUtil::new(address, exchange)),
        "reqwest" => plan.measure(move || Reqwest::new(address, exchange)),
        "raw" => plan.measure(move || Raw::new(address, exchange)),
        other => Err(format!(
            "unknown mode {other:?}: rosn, hyper-util, reqwest, raw, serve-rosn or serve-hyper"
        )
        .into()),
    }
}

fn value<'a>(words: &'a [String], name: &str, default: &'a str) -> &'a str {
    let at = words.iter().position(|word| word == name);
    at.and_then(|at| words.get(at + 1)).map_or(default, String::as_str)
}

fn port(words: &[String]) -> Outcome<u16> {
    Ok(value(words, "--port", "9100").parse()?)
}

impl Plan {
    fn new(words: &[String]) -> Outcome<Self> {
        let value = |name, default| value(words, name, default);
        let exchange = match value("--request", "get") {
            "get" => Exchange::Get,
            "post" => Exchange::Post,
            "get-h2" => Exchange::GetHttp2,
            other => return Err(format!("--request {other}: get, post or get-h2").into()),
        };
        Ok(Self {
            address: value("--addr", "127.0.0.1:9000").parse()?,
            exchange,
            concurrency: value("--concurrency", "1").parse()?,
            threads: value("--threads", "0").parse()?,
            time: Duration::try_from_secs_f64(value("--secs", "2").parse()?)?,
        })
    }

    fn measure<C: Client>(self, client: impl Fn() -> Outcome<C>) -> Outcome<String> {
        let runtime = match self.threads {
            0 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            threads => tokio::runtime::Builder::new_multi_thread()
                .worker_threads(threads)
                .enable_all()
                .build()?,
        };
        runtime.block_on(async {
            let clients =
                if self.exchange.http2() { self.concurrency.div_ceil(STREAMS) } else { 1 };
            let clients =
                (0..clients).map(|_| client().map(Arc::new)).collect::<Outcome<Vec<_>>>()?;
            let stop = Arc::new(AtomicBool::new(false));
            // a count for each task, so that threads do not share a cache line for each request
            let counts: Vec<Arc<AtomicU64>> =
                (0..self.concurrency).map(|_| Arc::default()).collect();
            let start = |(task, count): (usize, &Arc<AtomicU64>)| {
                let client = clients[task % clients.len()].clone();
                let (stop, count) = (stop.clone(), count.clone());
                tokio::spawn(async move { repeat(&*client, self.exchange, &stop, &count).await })
            };
            let tasks: Vec<_> = counts.iter().enumerate().map(start).collect();
            tokio::time::sleep(WARM_UP).await;
            let before = Reading::now(&counts);
            tokio::time::sleep(self.time).await;
            let after = Reading::now(&counts);
            stop.store(true, Relaxed);
            for task in tasks {
                task.await??;
            }
            Ok(after.since(&before))
        })
    }
}

async fn repeat<C: Client>(
    client: &C,
    exchange: Exchange,
    stop: &AtomicBool,
    count: &AtomicU64,
) -> Outcome {
    while !stop.load(Relaxed) {
        let (status, body) = client.exchange(exchange).await?;
        if status != 200 || body != exchange.body() {
            return Err(format!("{status} with {body} bytes").into());
        }
        count.store(count.load(Relaxed) + 1, Relaxed);
    }
    Ok(())
}

struct Reading {
    at: Instant,
    cpu: Duration,
    requests: u64,
}

impl Reading {
    fn now(counts: &[Arc<AtomicU64>]) -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            at: Instant::now(),
            cpu: Duration::new(cpu.tv_sec as u64, cpu.tv_nsec as u32),
            requests: counts.iter().map(|count| count.load(Relaxed)).sum(),
        }
    }

    fn since(&self, before: &Self) -> String {
        let requests = self.requests - before.requests;
        let seconds = (self.at - before.at).as_secs_f64();
        let cost = (self.cpu - before.cpu).as_secs_f64() * 1e6 / requests.max(1) as f64;
        format!(
            "{{\"requests\":{requests},\"secs\":{seconds:.4},\"rps\":{:.1},\"cost\":{cost:.3}}}",
            requests as f64 / seconds
        )
    }
}
