//! The origin behind every proxy: HTTP on 9000, HTTP/2 without TLS on 9001, a source of bytes on 9002, a sink on 9003.
//!
//! HTTP answers with 0, 1 KiB or 64 KiB by the last part of the path (`/0`, `/1k`, `/64k`), whatever
//! stands before it; `/ws` becomes a WebSocket that echoes. Bodies of requests have a Content-Length.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use memchr::memmem::{self, Finder};

use crate::args::Outcome;
use crate::echo::Echo;
use crate::h2;
use crate::response::content_length;
use crate::sys::{Event, Interest, Poller, Socket, would_block};

const HTTP: u16 = 9000;
const HTTP2: u16 = 9001;
const SOURCE: u16 = 9002;
const SINK: u16 = 9003;

/// The answer to the key of RFC 6455 section 1.3, the only one that the generator sends.
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// Its place among the responses.
const SWITCH: usize = 3;

/// The kinds of token; a token is `kind << 32 | descriptor`. The client's tokens have kind 0.
const LISTEN: u64 = 1;
const CONNECTION: u64 = 2;

/// Serves until it is killed.
pub fn serve() -> Outcome {
    let mut poller = Poller::new().map_err(|error| error.to_string())?;
    let mut backend = Backend::start(&poller)?;
    let mut events = Vec::new();
    loop {
        poller.poll(true, &mut events);
        for event in &events {
            backend.handle(&poller, *event);
        }
    }
}

pub struct Backend {
    listeners: Vec<(Socket, u16)>,
    /// By descriptor.
    connections: Vec<Option<Connection>>,
    /// Of 0, 1 KiB and 64 KiB, and the one that makes a WebSocket.
    responses: [Vec<u8>; 4],
    scratch: Vec<u8>,
    end_of_head: Finder<'static>,
}

struct Connection {
    socket: Socket,
    port: u16,
    /// A request that has not come whole.
    partial: Vec<u8>,
    /// Bytes of a request's body that have not come yet.
    body_left: usize,
    /// From the head that asked for it on.
    echo: Option<Echo>,
    /// On port 9001.
    h2: Option<Box<h2::Origin>>,
    /// Responses that still have to go out: which, and from which byte on.
    queue: VecDeque<(usize, usize)>,
    /// The poller has been asked to say when there is room to write.
    stalled: bool,
    close: bool,
}

impl Connection {
    fn new(socket: Socket, port: u16) -> Self {
        Self {
            socket,
            port,
            partial: Vec::new(),
            body_left: 0,
            echo: None,
            h2: (port == HTTP2).then(Box::default),
            queue: VecDeque::new(),
            stalled: false,
            close: false,
        }
    }
}

enum Fate {
    Keep,
    Drop,
}

impl Backend {
    pub fn start(poller: &Poller) -> Outcome<Self> {
        let mut listeners = Vec::new();
        for port in [HTTP, HTTP2, SOURCE, SINK] {
            let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
            let listen = || -> io::Result<Socket> {
                let socket = Socket::listen(at)?;
                poller.add(&socket, Interest::READ, LISTEN << 32 | listeners.len() as u64)?;
                Ok(socket)
            };
            let socket = listen().map_err(|error| format!("listen on {at}: {error}"))?;
            listeners.push((socket, port));
        }
        Ok(Self {
            listeners,
            connections: Vec::new(),
            responses: [response(0), response(1024), response(65536), SWITCHING.to_vec()],
            scratch: vec![b'z'; 262_144],
            end_of_head: Finder::new(b"\r\n\r\n"),
        })
    }

    /// Is this event the backend's, and not the client's?
    pub fn owns(event: Event) -> bool {
        event.token >> 32 != 0
    }

    pub fn handle(&mut self, poller: &Poller, event: Event) {
        let id = (event.token & 0xffff_ffff) as usize;
        if event.token >> 32 == LISTEN {
            self.accept(poller, id);
            return;
        }
        // taken out while it is served, put back if it lives
        let Some(mut connection) = self.connections.get_mut(id).and_then(Option::take) else {
            return;
        };
        let outcome = match connection.port {
            HTTP | HTTP2 => self.serve_http(poller, &mut connection, event),
            SOURCE => self.pour(&connection, event),
            _ => match connection.socket.discard() {
                Ok(0) => Ok(Fate::Drop),
                other => other.map(|_| Fate::Keep),
            },
        };
        match outcome {
            Ok(Fate::Drop) => {}
            Err(error) if !would_block(&error) => {}
            _ => self.connections[id] = Some(connection),
        }
    }

    fn accept(&mut self, poller: &Poller, listener: usize) {
        let (listener, port) = &self.listeners[listener];
        while let Some(socket) = listener.accept() {
            let id = socket.raw() as usize;
            let interest = if *port == SOURCE { Interest::WRITE_OR_END } else { Interest::READ };
            if poller.add(&socket, interest, CONNECTION << 32 | id as u64).is_err() {
                continue;
            }
            if self.connections.len() <= id {
                self.connections.resize_with(id + 1, || None);
            }
            self.connections[id] = Some(Connection::new(socket, *port));
        }
    }

    fn pour(&self, connection: &Connection, event: Event) -> io::Result<Fate> {
        if event.ended() {
            return Ok(Fate::Drop);
        }
        // at most this often, so that many connections take turns
        for _ in 0..4 {
            if connection.socket.send(&self.scratch)? < self.scratch.len() {
                break;
            }
        }
        Ok(Fate::Keep)
    }

    fn serve_http(
        &mut self,
        poller: &Poller,
        connection: &mut Connection,
        event: Event,
    ) -> io::Result<Fate> {
        if event.writable() {
            self.flush(poller, connection)?;
        }
        if event.readable() {
            let count = match connection.socket.receive(&mut self.scratch) {
                Ok(0) => return Ok(Fate::Drop),
                other => other?,
            };
            let waiting = connection.stalled;
            if !self.take(connection, count) {
                return Ok(Fate::Drop);
            }
            if !waiting {
                self.flush(poller, connection)?;
            }
        }
        let done = connection.close && connection.queue.is_empty();
        Ok(if done { Fate::Drop } else { Fate::Keep })
    }

    /// Takes what was read. `false`: it is not what the generator sends.
    fn take(&self, connection: &mut Connection, count: usize) -> bool {
        if let Some(h2) = &mut connection.h2 {
            return h2.feed(&self.scratch[..count]);
        }
        let joined;
        let mut bytes = &self.scratch[..count];
        if !connection.partial.is_empty() {
            connection.partial.extend_from_slice(bytes);
            joined = std::mem::take(&mut connection.partial);
            bytes = &joined;
        }
        if connection.echo.is_none() {
            bytes = self.take_requests(connection, bytes);
        }
        match &mut connection.echo {
            Some(echo) => echo.feed(bytes),
            None => {
                connection.partial.extend_from_slice(bytes);
                true
            }
        }
    }

    /// Queues a response for each whole request, and answers what stands behind the last.
    fn take_requests<'a>(&self, connection: &mut Connection, mut bytes: &'a [u8]) -> &'a [u8] {
        loop {
            let body = connection.body_left.min(bytes.len());
            connection.body_left -= body;
            bytes = &bytes[body..];
            let Some(end) = self.end_of_head.find(bytes) else { return bytes };
            let head = &bytes[..end + 2];
            bytes = &bytes[end + 4..];
            let which = asked(head);
            connection.queue.push_back((which, 0));
            if which == SWITCH {
                connection.echo = Some(Echo::default());
                return bytes;
            }
            connection.close |= has_field(head, b"connection: close");
            if head.starts_with(b"POST ") {
                connection.body_left = content_length(head).unwrap_or(0);
            }
        }
    }

    fn flush(&self, poller: &Poller, connection: &mut Connection) -> io::Result<()> {
        let token = CONNECTION << 32 | connection.socket.raw() as u64;
        while let Some((which, from)) = connection.queue.front_mut() {
            let rest = &self.responses[*which][*from..];
            let sent = match connection.socket.send(rest) {
                Err(error) if would_block(&error) => 0,
                other => other?,
            };
            if sent < rest.len() {
                *from += sent;
                connection.stalled = true;
                return poller.change(&connection.socket, Interest::BOTH, token);
            }
            connection.queue.pop_front();
        }
        while let Some(echo) = &mut connection.echo
            && !echo.ready().is_empty()
        {
            let sent = match connection.socket.send(echo.ready()) {
                Err(error) if would_block(&error) => {
                    connection.stalled = true;
                    return poller.change(&connection.socket, Interest::WRITE, token);
                }
                other => other?,
            };
            echo.sent(sent);
        }
        while let Some(h2) = &mut connection.h2
            && !h2.ready().is_empty()
        {
            match connection.socket.send(h2.ready()) {
                Err(error) if would_block(&error) => {
                    connection.stalled = true;
                    return poller.change(&connection.socket, Interest::BOTH, token);
                }
                other => h2.sent(other?),
            }
        }
        if std::mem::take(&mut connection.stalled) {
            poller.change(&connection.socket, Interest::READ, token)?;
        }
        Ok(())
    }
}

fn response(body: usize) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body}\r\n\r\n");
    let mut response = head.into_bytes();
    response.resize(response.len() + body, b'x');
    response
}

/// The index of the response that the end of the path asks for.
fn asked(head: &[u8]) -> usize {
    let line = &head[..memmem::find(head, b"\r\n").unwrap_or(0)];
    let path = line.strip_suffix(b" HTTP/1.1").unwrap_or(line);
    if path.ends_with(b"/1k") {
        1
    } else if path.ends_with(b"/64k") {
        2
    } else if path.ends_with(b"/ws") && has_field(head, b"upgrade: websocket") {
        SWITCH
    } else {
        0
    }
}

/// Does this field, in lower case, stand in the head?
fn has_field(head: &[u8], field: &[u8]) -> bool {
    let mut ends = memmem::find_iter(head, b"\r\n");
    ends.any(|end| {
        head.get(end + 2..end + 2 + field.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(field))
    })
}
