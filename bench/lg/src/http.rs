//! HTTP/1.1 clients: as fast as the proxy goes, or at a fixed rate.
//!
//! At a fixed rate a request's latency counts from when it was due, so a stall of the proxy is seen
//! by every request that it delayed.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddrV4;
use std::time::Instant;

use crate::args::{Args, Outcome};
use crate::backend::Backend;
use crate::histogram::Histogram;
use crate::link::Link;
use crate::request::Requests;
use crate::response::{Progress, Response};
use crate::sys::{Event, Interest, Poller, would_block};
use crate::tls::Tls;

/// After this many errors there is nothing to measure.
const TOO_MANY_ERRORS: u64 = 100_000;

pub fn run(args: &Args) -> Outcome {
    let plan = Plan::from_args(args)?;
    let mut poller = Poller::new().map_err(|error| error.to_string())?;
    let mut backend =
        if args.flag("--with-backend") { Some(Backend::start(&poller)?) } else { None };
    let mut clients = Clients::new(plan);
    clients.open_all(&poller)?;
    let mut events = Vec::new();
    while !clients.finished() {
        clients.start_due(&poller)?;
        poller.poll(false, &mut events);
        for event in &events {
            match &mut backend {
                Some(backend) if Backend::owns(*event) => backend.handle(&poller, *event),
                _ => clients.handle(&poller, *event)?,
            }
        }
    }
    clients.print();
    Ok(())
}

/// What was asked for. Times are nanoseconds since the start.
struct Plan {
    to: SocketAddrV4,
    tls: Option<Tls>,
    connections: usize,
    requests: Requests,
    close: bool,
    end: u64,
    /// Latencies and the rate count from here.
    warm: u64,
    /// Stop after this many responses.
    limit: u64,
    /// Requests per second; `None` = as fast as they go.
    rate: Option<f64>,
}

impl Plan {
    fn from_args(args: &Args) -> Outcome<Self> {
        let path = args.text("--path").unwrap_or("/0");
        let close = args.flag("--close");
        let rate: f64 = args.number("--rate", 0.0)?;
        if close && rate > 0.0 {
            return Err("--rate and --close do not go together".into());
        }
        let seconds =
            |name, default| Ok::<u64, String>((args.number::<f64>(name, default)? * 1e9) as u64);
        Ok(Self {
            to: args.target()?,
            tls: Tls::from_args(args, "http/1.1")?,
            connections: args.number("--conns", 64)?,
            requests: match args.number("--hosts", 0)? {
                0 => Requests::same(path, close),
                hosts => Requests::spread(hosts, path, close),
            },
            close,
            end: seconds("--secs", 5.0)?,
            warm: seconds("--warm", 0.0)?,
            limit: args.number("--requests", u64::MAX)?,
            rate: (rate > 0.0).then_some(rate),
        })
    }
}

struct Client {
    link: Link,
    response: Response,
    /// When the request in flight was sent, or was due; `None` = none in flight.
    since: Option<u64>,
    /// The request in flight has been written.
    sent: bool,
}

#[derive(Default)]
struct Counts {
    done: u64,
    errors: u64,
    not_ok: u64,
    opened: u64,
    /// Connections whose TLS session was one of an earlier connection.
    resumed: u64,
    bytes: u64,
    /// Requests that began more than a millisecond after they were due.
    late: u64,
}

struct Clients {
    plan: Plan,
    start: Instant,
    clients: Vec<Client>,
    /// At a fixed rate: the clients without a request in flight, and the due times that wait for one.
    free: VecDeque<usize>,
    waiting: VecDeque<u64>,
    issued: u64,
    counts: Counts,
    latencies: Histogram,
    /// The time and count of responses when the warm-up ended.
    warm: Option<(u64, u64)>,
    scratch: Vec<u8>,
}

impl Clients {
    fn new(plan: Plan) -> Self {
        Self {
            plan,
            start: Instant::now(),
            clients: Vec::new(),
            free: VecDeque::new(),
            waiting: VecDeque::new(),
            issued: 0,
            counts: Counts::default(),
            latencies: Histogram::new(),
            warm: None,
            scratch: vec![0; 262_144],
        }
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn open_all(&mut self, poller: &Poller) -> Outcome {
        for id in 0..self.plan.connections {
            let client = self.open(poller, id)?;
            self.clients.push(client);
            if self.plan.rate.is_some() {
                self.free.push_back(id);
            }
        }
        Ok(())
    }

    /// A new connection, which in a closed loop already wants to send.
    fn open(&mut self, poller: &Poller, id: usize) -> Outcome<Client> {
        loop {
            self.counts.opened += 1;
            let connect = || -> io::Result<Link> {
                let source = self.counts.opened as u32;
                let link = Link::connect(source, self.plan.to, self.plan.tls.as_ref())?;
                poller.add(link.socket(), Interest::BOTH, id as u64)?;
                Ok(link)
            };
            match connect() {
                Ok(link) => {
                    let since = self.plan.rate.is_none().then(|| self.now());
                    let response = Response::default();
                    return Ok(Client { link, response, since, sent: false });
                }
                Err(error) => self.error(&error.to_string())?,
            }
        }
    }

    fn error(&mut self, reason: &str) -> Outcome {
        self.counts.errors += 1;
        if self.counts.errors < TOO_MANY_ERRORS {
            Ok(())
        } else {
            Err(format!("too many errors: {reason}"))
        }
    }

    fn finished(&mut self) -> bool {
        let now = self.now();
        if self.warm.is_none() && now >= self.plan.warm {
            self.warm = Some((now, self.counts.done));
            self.latencies = Histogram::new();
        }
        now >= self.plan.end || self.counts.done >= self.plan.limit
    }

    /// At a fixed rate, gives the requests that are due to the clients that are free.
    fn start_due(&mut self, poller: &Poller) -> Outcome {
        let Some(rate) = self.plan.rate else { return Ok(()) };
        let now = self.now();
        while self.issued < (now as f64 * rate / 1e9) as u64 {
            self.waiting.push_back((self.issued as f64 * 1e9 / rate) as u64);
            self.issued += 1;
        }
        while !self.waiting.is_empty()
            && let Some(id) = self.free.pop_front()
        {
            self.start_waiting(poller, id, now)?;
        }
        Ok(())
    }

    fn start_waiting(&mut self, poller: &Poller, id: usize, now: u64) -> Outcome {
        match self.waiting.pop_front() {
            None => self.free.push_back(id),
            Some(due) => {
                self.counts.late += u64::from(now.saturating_sub(due) > 1_000_000);
                self.clients[id].since = Some(due);
                self.send(poller, id)?;
            }
        }
        Ok(())
    }

    /// Sends the request in flight, or asks to be told when there is room.
    fn send(&mut self, poller: &Poller, id: usize) -> Outcome {
        let client = &mut self.clients[id];
        let request = self.plan.requests.next();
        match client.link.send(request) {
            Ok(count) if count == request.len() => {
                client.sent = true;
                Ok(())
            }
            Err(error) if would_block(&error) => poller
                .change(client.link.socket(), Interest::BOTH, id as u64)
                .map_err(|error| error.to_string()),
            // a head that does not fit whole into an empty socket buffer does not happen
            outcome => self.reopen(poller, id, &format!("send: {outcome:?}")),
        }
    }

    fn handle(&mut self, poller: &Poller, event: Event) -> Outcome {
        let id = event.token as usize;
        if event.writable() {
            let client = &self.clients[id];
            poller
                .change(client.link.socket(), Interest::READ, event.token)
                .map_err(|error| error.to_string())?;
            if client.since.is_some() && !client.sent {
                if self.plan.rate.is_none() {
                    self.clients[id].since = Some(self.now());
                }
                self.send(poller, id)?;
            }
        }
        if !event.readable() {
            return Ok(());
        }
        let client = &mut self.clients[id];
        let count = match client.link.receive(&mut self.scratch) {
            Ok(0) => return self.reopen(poller, id, "the proxy closed the connection"),
            Err(error) if would_block(&error) => return Ok(()),
            Err(error) => return self.reopen(poller, id, &error.to_string()),
            Ok(count) => count,
        };
        self.counts.bytes += count as u64;
        let not_ok = &mut self.counts.not_ok;
        match client
            .response
            .feed(&self.scratch[..count], |status| *not_ok += u64::from(status != b"200"))
        {
            Progress::More => Ok(()),
            Progress::Done => self.complete(poller, id),
            Progress::Broken => self.reopen(poller, id, "not a response of the backend"),
        }
    }

    fn complete(&mut self, poller: &Poller, id: usize) -> Outcome {
        let now = self.now();
        let client = &mut self.clients[id];
        let Some(since) = client.since.take() else {
            return self.reopen(poller, id, "a response without a request");
        };
        client.sent = false;
        self.latencies.record(now.saturating_sub(since));
        self.counts.done += 1;
        if self.plan.close {
            self.counts.resumed += u64::from(client.link.resumed() == Some(true));
            self.clients[id] = self.open(poller, id)?;
        } else if self.plan.rate.is_some() {
            return self.start_waiting(poller, id, now);
        } else {
            self.clients[id].since = Some(now);
            self.send(poller, id)?;
        }
        Ok(())
    }

    /// The connection is lost. A request in flight is an error; a connection that ends between requests is not.
    fn reopen(&mut self, poller: &Poller, id: usize, reason: &str) -> Outcome {
        if self.clients[id].since.is_some() {
            self.error(reason)?;
            if self.plan.rate.is_some() {
                self.free.push_back(id);
            }
        }
        self.clients[id] = self.open(poller, id)?;
        Ok(())
    }

    fn print(&self) {
        let (end, (from, before)) = (self.now(), self.warm.unwrap_or((0, 0)));
        let Counts { done, errors, not_ok, opened, resumed, bytes, late } = self.counts;
        let rate = (done - before) as f64 / ((end - from) as f64 / 1e9);
        let quantile = |share| self.latencies.quantile(share);
        println!(
            "{{\"requests\":{done},\"errors\":{errors},\"non2xx\":{not_ok},\"conns\":{opened},\"resumed\":{resumed},\"secs\":{:.4},\"rps\":{rate:.1},\
             \"bytes\":{bytes},\"p50\":{:.1},\"p90\":{:.1},\"p99\":{:.1},\"p999\":{:.1},\"max\":{:.1},\"late\":{late}}}",
            end as f64 / 1e9,
            quantile(0.5),
            quantile(0.9),
            quantile(0.99),
            quantile(0.999),
            self.latencies.max(),
        );
    }
}
