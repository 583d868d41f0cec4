//! Clients of HTTP/2: so many connections with so many streams each, as fast as the proxy goes.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddrV4;
use std::time::Instant;

use super::frame::{
    ACK, ENABLE_PUSH, END_HEADERS, END_STREAM, FIRST_WINDOW, Frame, INITIAL_WINDOW_SIZE, Kind,
    PREFACE, put, put_field, put_settings, put_value, put_window_update, take,
};
use super::{MESSAGE, message};
use crate::args::{Args, Outcome};
use crate::backend::Backend;
use crate::histogram::Histogram;
use crate::link::Link;
use crate::sys::{Event, Interest, Poller, would_block};
use crate::tls::Tls;

/// After this many errors there is nothing to measure.
const TOO_MANY_ERRORS: u64 = 10_000;

/// What the client grants the proxy, for each stream and for the connection.
const WINDOW: u32 = 0x7fff_ffff;

pub fn run(args: &Args) -> Outcome {
    let plan = Plan::from_args(args)?;
    let mut poller = Poller::new().map_err(|error| error.to_string())?;
    let mut backend =
        if args.flag("--with-backend") { Some(Backend::start(&poller)?) } else { None };
    let mut clients = Clients::open(plan, &poller)?;
    let mut events = Vec::new();
    while !clients.finished() {
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

struct Plan {
    to: SocketAddrV4,
    tls: Option<Tls>,
    connections: usize,
    streams: u32,
    requests: Requests,
    /// Nanoseconds since the start.
    end: u64,
    /// Stop after this many responses.
    limit: u64,
}

impl Plan {
    fn from_args(args: &Args) -> Outcome<Self> {
        Ok(Self {
            to: args.target()?,
            tls: Tls::from_args(args, "h2")?,
            connections: args.number("--conns", 4)?,
            streams: args.number("--streams", 100)?,
            requests: Requests::from_args(args)?,
            end: (args.number::<f64>("--secs", 5.0)? * 1e9) as u64,
            limit: args.number("--requests", u64::MAX)?,
        })
    }
}

/// The blocks of fields of a connection's first request and of all that follow, what comes behind them, and
/// how many bytes a right response carries.
pub struct Requests {
    first: Vec<u8>,
    next: Vec<u8>,
    body: Vec<u8>,
    answer: usize,
}

impl Requests {
    pub fn from_args(args: &Args) -> Outcome<Self> {
        let (tls, call) = (args.flag("--tls"), args.flag("--grpc"));
        let path = args.text("--path").unwrap_or(if call { "/bench.Echo/Unary" } else { "/0" });
        let answer = match path {
            _ if call => MESSAGE,
            "/0" => 0,
            "/1k" => 1024,
            "/64k" => 65536,
            other => return Err(format!("--path {other}: /0, /1k or /64k")),
        };
        Ok(Self::new(tls, call, path, answer))
    }

    fn new(tls: bool, call: bool, path: &str, answer: usize) -> Self {
        // static table (RFC 7541, appendix A)
        let [method, scheme] = [if call { 0x83 } else { 0x82 }, if tls { 0x87 } else { 0x86 }];
        let mut first = vec![method, scheme];
        put_value(&mut first, true, 4, path);
        put_value(&mut first, true, 1, "localhost");
        put_value(&mut first, true, 58, "lg");
        if call {
            put_value(&mut first, true, 31, "application/grpc");
            put_field(&mut first, true, "te", "trailers");
        } else {
            put_value(&mut first, true, 19, "*/*");
        }
        // the last entry of the dynamic table is number 62
        let indexed = if call { 62..=66 } else { 62..=65u8 };
        let mut next = vec![method, scheme];
        next.extend(indexed.rev().map(|index| 0x80 | index));
        Self { first, next, body: if call { message() } else { Vec::new() }, answer }
    }

    /// The preface and the first request of a connection.
    pub fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(PREFACE);
        put_settings(out, &[(ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, WINDOW)]);
        put_window_update(out, WINDOW - FIRST_WINDOW as u32);
        self.put(out, 1, &self.first);
    }

    fn put(&self, out: &mut Vec<u8>, stream: u32, block: &[u8]) {
        if self.body.is_empty() {
            put(out, Kind::Headers, END_HEADERS | END_STREAM, stream, block);
        } else {
            put(out, Kind::Headers, END_HEADERS, stream, block);
            put(out, Kind::Data, END_STREAM, stream, &self.body);
        }
    }
}

struct Client {
    link: Link,
    opened: bool,
    partial: Vec<u8>,
    out: Vec<u8>,
    next_stream: u32,
    /// Of each request in flight: since when, and the bytes of its response.
    streams: HashMap<u32, (u64, usize)>,
    /// Bytes of DATA that may be sent.
    window: i64,
    /// Requests that wait for it.
    waiting: u32,
    /// Bytes of DATA that came and were not given back.
    taken: u32,
}

#[derive(Default)]
struct Counts {
    done: u64,
    errors: u64,
    opened: u64,
    bytes: u64,
}

struct Clients {
    plan: Plan,
    start: Instant,
    clients: Vec<Client>,
    counts: Counts,
    latencies: Histogram,
    scratch: Vec<u8>,
}

impl Clients {
    fn open(plan: Plan, poller: &Poller) -> Outcome<Self> {
        let mut clients = Self {
            plan,
            start: Instant::now(),
            clients: Vec::new(),
            counts: Counts::default(),
            latencies: Histogram::new(),
            scratch: vec![0; 262_144],
        };
        for id in 0..clients.plan.connections {
            let client = clients.connect(poller, id)?;
            clients.clients.push(client);
        }
        Ok(clients)
    }

    fn connect(&mut self, poller: &Poller, id: usize) -> Outcome<Client> {
        self.counts.opened += 1;
        let connect = || -> io::Result<Link> {
            let source = self.counts.opened as u32;
            let link = Link::connect(source, self.plan.to, self.plan.tls.as_ref())?;
            poller.add(link.socket(), Interest::BOTH, id as u64)?;
            Ok(link)
        };
        let link = connect().map_err(|error| format!("connect: {error}"))?;
        Ok(Client {
            link,
            opened: false,
            partial: Vec::new(),
            out: Vec::new(),
            next_stream: 1,
            streams: HashMap::new(),
            window: FIRST_WINDOW,
            waiting: 0,
            taken: 0,
        })
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn finished(&self) -> bool {
        self.now() >= self.plan.end || self.counts.done >= self.plan.limit
    }

    fn handle(&mut self, poller: &Poller, event: Event) -> Outcome {
        let id = event.token as usize;
        let now = self.now();
        let Self { plan, clients, counts, latencies, scratch, .. } = self;
        let client = &mut clients[id];
        if event.writable() && !client.opened {
            poller
                .change(client.link.socket(), Interest::READ, event.token)
                .map_err(|error| error.to_string())?;
            client.open(plan, now);
        }
        let read = if event.readable() { client.link.receive(scratch) } else { Ok(0) };
        let outcome = match read {
            Ok(0) if event.readable() => Err("the proxy closed the connection".into()),
            Ok(count) => {
                counts.bytes += count as u64;
                client.take(plan, &scratch[..count], now, |took, right| {
                    counts.done += u64::from(right);
                    counts.errors += u64::from(!right);
                    latencies.record(took);
                })
            }
            Err(error) if would_block(&error) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = outcome.and_then(|()| client.flush()) {
            self.lost(poller, id, &reason)?;
        }
        if self.counts.errors > TOO_MANY_ERRORS { Err("too many errors".into()) } else { Ok(()) }
    }

    /// Every request in flight is an error; a new connection begins.
    fn lost(&mut self, poller: &Poller, id: usize, reason: &str) -> Outcome {
        eprintln!("lg: connection {id}: {reason}");
        self.counts.errors += 1 + self.clients[id].streams.len() as u64;
        self.clients[id] = self.connect(poller, id)?;
        Ok(())
    }

    fn print(&self) {
        let seconds = self.now() as f64 / 1e9;
        let Counts { done, errors, opened, bytes } = self.counts;
        let quantile = |share| self.latencies.quantile(share);
        println!(
            "{{\"requests\":{done},\"errors\":{errors},\"conns\":{opened},\"secs\":{seconds:.4},\"rps\":{:.1},\
             \"bytes\":{bytes},\"p50\":{:.1},\"p90\":{:.1},\"p99\":{:.1},\"p999\":{:.1},\"max\":{:.1}}}",
            done as f64 / seconds,
            quantile(0.5),
            quantile(0.9),
            quantile(0.99),
            quantile(0.999),
            self.latencies.max(),
        );
    }
}

impl Client {
    fn open(&mut self, plan: &Plan, now: u64) {
        self.opened = true;
        plan.requests.open(&mut self.out);
        self.streams.insert(1, (now, 0));
        self.next_stream = 3;
        self.window -= plan.requests.body.len() as i64;
        self.waiting = plan.streams - 1;
        self.ask(plan, now);
    }

    /// Sends the requests that wait, as far as the window lets it.
    fn ask(&mut self, plan: &Plan, now: u64) {
        let size = plan.requests.body.len() as i64;
        while self.waiting > 0 && self.window >= size {
            self.window -= size;
            self.waiting -= 1;
            plan.requests.put(&mut self.out, self.next_stream, &plan.requests.next);
            self.streams.insert(self.next_stream, (now, 0));
            self.next_stream += 2;
        }
    }

    /// Takes what was read. `on_end` hears of each response: how long it took, and whether it was whole.
    fn take(
        &mut self,
        plan: &Plan,
        bytes: &[u8],
        now: u64,
        mut on_end: impl FnMut(u64, bool),
    ) -> Outcome {
        let mut joined = std::mem::take(&mut self.partial);
        let mut rest = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        while let Some(frame) = take(&mut rest) {
            self.take_frame(&frame)?;
            let stream = if frame.ends_stream() || frame.kind == Some(Kind::Reset) {
                self.streams.remove(&frame.stream)
            } else {
                None
            };
            if let Some((since, came)) = stream {
                on_end(now.saturating_sub(since), came == plan.requests.answer);
                self.waiting += 1;
            }
        }
        self.partial = rest.to_vec();
        self.ask(plan, now);
        if self.taken > WINDOW / 2 {
            put_window_update(&mut self.out, self.taken);
            self.taken = 0;
        }
        Ok(())
    }

    fn take_frame(&mut self, frame: &Frame<'_>) -> Outcome {
        match frame.kind {
            Some(Kind::Data) => {
                self.taken += frame.payload.len() as u32;
                if let Some((_, came)) = self.streams.get_mut(&frame.stream) {
                    *came += frame.payload.len();
                }
            }
            Some(Kind::Settings) if !frame.is_ack() => {
                put(&mut self.out, Kind::Settings, ACK, 0, &[]);
            }
            Some(Kind::Ping) if !frame.is_ack() => {
                put(&mut self.out, Kind::Ping, ACK, 0, frame.payload);
            }
            Some(Kind::WindowUpdate) if frame.stream == 0 => self.window += frame.increment(),
            Some(Kind::GoAway) => return Err(format!("GOAWAY {:?}", frame.payload)),
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self) -> Outcome {
        while !self.out.is_empty() {
            let sent = self.link.send(&self.out).map_err(|error| format!("send: {error}"))?;
            self.out.drain(..sent);
        }
        Ok(())
    }
}

/// One request and its response on a new connection that blocks.
pub fn exchange(stream: &mut (impl io::Read + io::Write), requests: &Requests) -> io::Result<()> {
    let mut out = Vec::new();
    requests.open(&mut out);
    put(&mut out, Kind::Settings, ACK, 0, &[]);
    stream.write_all(&out)?;
    let mut came = Vec::new();
    let mut part = [0; 16_384];
    loop {
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => came.extend_from_slice(&part[..count]),
        }
        let mut rest = &came[..];
        while let Some(frame) = take(&mut rest) {
            if matches!(frame.kind, Some(Kind::Reset | Kind::GoAway)) {
                return Err(io::Error::other("the proxy refused the request"));
            }
            if frame.ends_stream() && frame.stream == 1 {
                return Ok(());
            }
        }
    }
}
