//! One HTTP client in a closed loop against one server, and the CPU time that this process spends on each request.
//!
//! ```text
//! client-bench rosn|hyper-util|reqwest|raw --addr A [--request get|post] [--concurrency N] [--threads N] [--secs S]
//! ```
//!
//! `get` asks for `/1k`, `post` sends 100 bytes to `/0` (the paths of `lg backend`). `--concurrency` is the number of
//! tasks that each send one request after another. `--threads 0` is a current-thread runtime. Prints one JSON object.

mod clients;

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
}

impl Exchange {
    pub const SENT: &'static [u8] = &[b'u'; 100];

    pub fn path(self) -> &'static str {
        match self {
            Self::Get => "/1k",
            Self::Post => "/0",
        }
    }

    /// Of the response, in bytes.
    pub fn body(self) -> usize {
        match self {
            Self::Get => 1024,
            Self::Post => 0,
        }
    }
}

struct Plan {
    address: SocketAddr,
    exchange: Exchange,
    concurrency: usize,
    threads: usize,
    time: Duration,
}

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
    let plan = Plan::new(words)?;
    let (address, exchange) = (plan.address, plan.exchange);
    match words.first().map_or("", String::as_str) {
        "rosn" => plan.measure(move || Rosn::new(address, exchange)),
        "hyper-util" => plan.measure(move || HyperUtil::new(address, exchange)),
        "reqwest" => plan.measure(move || Reqwest::new(address, exchange)),
        "raw" => plan.measure(move || Raw::new(address, exchange)),
        other => Err(format!("unknown client {other:?}: rosn, hyper-util, reqwest or raw").into()),
    }
}

impl Plan {
    fn new(words: &[String]) -> Outcome<Self> {
        let value = |name: &str, default: &str| -> String {
            let at = words.iter().position(|word| word == name);
            at.and_then(|at| words.get(at + 1)).map_or(default, String::as_str).into()
        };
        let exchange = match value("--request", "get").as_str() {
            "get" => Exchange::Get,
            "post" => Exchange::Post,
            other => return Err(format!("--request {other}: get or post").into()),
        };
        Ok(Self {
            address: value("--addr", "127.0.0.1:9000").parse()?,
            exchange,
            concurrency: value("--concurrency", "1").parse()?,
            threads: value("--threads", "0").parse()?,
            time: Duration::try_from_secs_f64(value("--secs", "2").parse()?)?,
        })
    }

    fn measure<C: Client>(self, client: impl FnOnce() -> Outcome<C>) -> Outcome<String> {
        let runtime = match self.threads {
            0 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            threads => tokio::runtime::Builder::new_multi_thread()
                .worker_threads(threads)
                .enable_all()
                .build()?,
        };
        runtime.block_on(async {
            let client = Arc::new(client()?);
            let stop = Arc::new(AtomicBool::new(false));
            // a count for each task, so that threads do not share a cache line for each request
            let counts: Vec<Arc<AtomicU64>> =
                (0..self.concurrency).map(|_| Arc::default()).collect();
            let start = |count: &Arc<AtomicU64>| {
                let (client, stop, count) = (client.clone(), stop.clone(), count.clone());
                tokio::spawn(async move { repeat(&*client, self.exchange, &stop, &count).await })
            };
            let tasks: Vec<_> = counts.iter().map(start).collect();
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
