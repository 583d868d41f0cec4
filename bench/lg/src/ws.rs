//! WebSockets that echo, in a closed loop: each connection sends its next message when the last has
//! come back.

use std::net::SocketAddrV4;
use std::time::Instant;

use memchr::memmem;

use crate::args::{Args, Outcome};
use crate::backend::Backend;
use crate::frame::{apply_mask, write_header};
use crate::histogram::Histogram;
use crate::sys::{Event, Interest, Poller, Socket, would_block};

/// With the key of RFC 6455 section 1.3, to which the backend knows the answer.
const ASK: &[u8] = b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUser-Agent: lg\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub fn run(args: &Args) -> Outcome {
    let seconds: f64 = args.number("--secs", 5.0)?;
    let mut poller = Poller::new().map_err(|error| error.to_string())?;
    let mut backend =
        if args.flag("--with-backend") { Some(Backend::start(&poller)?) } else { None };
    let mut clients = Clients::new(args.target()?, args.number("--size", 100)?);
    clients.open(&poller, args.number("--conns", 64)?)?;
    let mut events = Vec::new();
    while clients.start.elapsed().as_secs_f64() < seconds {
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

struct Client {
    socket: Socket,
    /// The poller says when there is room to write.
    stalled: bool,
    /// Of the message that is under way, or of the request before the first.
    sent: usize,
    since: Instant,
    place: Place,
}

/// Where a client stands in what comes back.
enum Place {
    /// In the head of the response to the request.
    Head(Vec<u8>),
    /// In the first message, of which every byte is compared.
    First(Vec<u8>),
    /// After so many bytes of a message.
    Message(usize),
}

struct Clients {
    to: SocketAddrV4,
    start: Instant,
    clients: Vec<Client>,
    /// A message as it is sent, and as it comes back.
    message: Vec<u8>,
    echo: Vec<u8>,
    done: u64,
    latencies: Histogram,
    scratch: Vec<u8>,
}

impl Clients {
    fn new(to: SocketAddrV4, size: usize) -> Self {
        let payload: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        let (mut message, mut echo) = (Vec::new(), Vec::new());
        write_header(size, None, &mut echo);
        echo.extend_from_slice(&payload);
        write_header(size, Some(MASK), &mut message);
        let at = message.len();
        message.extend_from_slice(&payload);
        apply_mask(MASK, 0, &mut message[at..]);
        Self {
            to,
            start: Instant::now(),
            clients: Vec::new(),
            message,
            echo,
            done: 0,
            latencies: Histogram::new(),
            scratch: vec![0; 262_144],
        }
    }

    fn open(&mut self, poller: &Poller, connections: u32) -> Outcome {
        for id in 0..connections {
            let open = || -> std::io::Result<Socket> {
                let socket = Socket::connect(id, self.to)?;
                poller.add(&socket, Interest::BOTH, u64::from(id))?;
                Ok(socket)
            };
            let socket = open().map_err(|error| format!("{}: {error}", self.to))?;
            let (place, since) = (Place::Head(Vec::new()), Instant::now());
            self.clients.push(Client { socket, stalled: true, sent: 0, since, place });
        }
        Ok(())
    }

    fn handle(&mut self, poller: &Poller, event: Event) -> Outcome {
        let (id, to) = (event.token as usize, self.to);
        let mut handle = || {
            if event.writable() {
                self.send(poller, id)?;
            }
            if event.readable() { self.receive(poller, id) } else { Ok(()) }
        };
        handle().map_err(|reason| format!("{to}: {reason}"))
    }

    /// Sends what is left of the message, or of the request.
    fn send(&mut self, poller: &Poller, id: usize) -> Outcome {
        let client = &mut self.clients[id];
        let bytes = if let Place::Head(_) = client.place { ASK } else { &self.message };
        while client.sent < bytes.len() {
            match client.socket.send(&bytes[client.sent..]) {
                Ok(count) => client.sent += count,
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        let stalled = client.sent < bytes.len();
        if stalled != std::mem::replace(&mut client.stalled, stalled) {
            let interest = if stalled { Interest::BOTH } else { Interest::READ };
            poller
                .change(&client.socket, interest, id as u64)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn receive(&mut self, poller: &Poller, id: usize) -> Outcome {
        let count = match self.clients[id].socket.receive(&mut self.scratch) {
            Ok(0) => return Err("the proxy closed the connection".into()),
            Err(error) if would_block(&error) => return Ok(()),
            other => other.map_err(|error| error.to_string())?,
        };
        if self.clients[id].take(&self.scratch[..count], &self.echo)? {
            let now = Instant::now();
            let client = &mut self.clients[id];
            if let Place::Message(_) = client.place {
                self.done += 1;
                self.latencies.record(now.duration_since(client.since).as_nanos() as u64);
                client.place = Place::Message(0);
            } else {
                client.place = Place::First(Vec::new());
            }
            (client.since, client.sent) = (now, 0);
            self.send(poller, id)?;
        }
        Ok(())
    }

    fn print(&self) {
        let seconds = self.start.elapsed().as_secs_f64();
        let quantile = |share| self.latencies.quantile(share);
        println!(
            "{{\"requests\":{},\"errors\":0,\"conns\":{},\"secs\":{seconds:.4},\"rps\":{:.1},\"p50\":{:.1},\"p99\":{:.1},\"max\":{:.1}}}",
            self.done,
            self.clients.len(),
            self.done as f64 / seconds,
            quantile(0.5),
            quantile(0.99),
            self.latencies.max(),
        );
    }
}

impl Client {
    /// Takes what was read. `true`: the response or the message has come whole, and nothing behind it.
    fn take(&mut self, bytes: &[u8], echo: &[u8]) -> Outcome<bool> {
        match &mut self.place {
            Place::Head(head) => {
                head.extend_from_slice(bytes);
                let Some(end) = memmem::find(head, b"\r\n\r\n") else { return Ok(false) };
                if head.starts_with(b"HTTP/1.1 101 ") && end + 4 == head.len() {
                    return Ok(true);
                }
                let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
                Err(format!("not a bare 101: {}", String::from_utf8_lossy(line)))
            }
            Place::First(message) => {
                message.extend_from_slice(bytes);
                if !echo.starts_with(message) {
                    return Err("what came back is not what was sent".into());
                }
                if message.len() < echo.len() {
                    return Ok(false);
                }
                self.place = Place::Message(0);
                Ok(true)
            }
            Place::Message(came) => {
                if *came == 0 && bytes.first() != echo.first() {
                    return Err("not a message".into());
                }
                *came += bytes.len();
                if *came > echo.len() {
                    return Err("more came back than was sent".into());
                }
                Ok(*came == echo.len())
            }
        }
    }
}
