//! Origins for tests of framing: one that notes exactly what reaches it, and one that answers with the very
//! bytes that it is given.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use crate::PATIENCE;
use crate::origin::Origin;

/// A request as it reached the origin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Request line and fields, without the empty line.
    pub head: String,
    /// The content.
    pub body: String,
    /// The trailer lines.
    pub trailers: String,
    /// What is wrong with it: the connection ended before the message, or it is not what a proxy may send.
    pub fault: Option<&'static str>,
}

/// An origin that notes all requests, and answers each that came whole with 200 and `ok`.
#[derive(Debug)]
pub struct Recorder {
    origin: Origin,
    seen: Arc<Mutex<Vec<Seen>>>,
    ended: Arc<AtomicUsize>,
}

impl Recorder {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicUsize::new(0));
        let (notes, ends) = (Arc::clone(&seen), Arc::clone(&ended));
        let origin = Origin::raw(move |stream| {
            record(stream, &notes);
            ends.fetch_add(1, Ordering::SeqCst);
        });
        Self { origin, seen, ended }
    }

    /// How many connections have ended; what came over them has been noted.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.origin.port()
    }

    /// What came since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn record(mut stream: TcpStream, seen: &Mutex<Vec<Seen>>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 64 << 10];
    loop {
        match parse(&bytes) {
            Ok((message, length)) => {
                bytes.drain(..length);
                let is_head = message.head.starts_with("HEAD ");
                seen.lock().unwrap().push(message);
                let body = if is_head { "" } else { "ok" };
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
            }
            Err(fault) if fault == MORE => match stream.read(&mut buffer) {
                Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
                _ => {
                    if !bytes.is_empty() {
                        let head = text(&bytes);
                        let fault = Some("it ended early");
                        seen.lock().unwrap().push(Seen { head, fault, ..Seen::default() });
                    }
                    return;
                }
            },
            Err(fault) => {
                let head = text(&bytes);
                seen.lock().unwrap().push(Seen { head, fault: Some(fault), ..Seen::default() });
                return;
            }
        }
    }
}

/// Not a fault: more has to come.
const MORE: &str = "more has to come";

/// The message at the start of `bytes` and how long it is; it has to be framed without any doubt.
fn parse(bytes: &[u8]) -> Result<(Seen, usize), &'static str> {
    let end = find(bytes, b"\r\n\r\n").ok_or(MORE)?;
    let head = text(&bytes[..end]);
    let rest = &bytes[end + 4..];
    let mut seen = Seen { head, ..Seen::default() };
    let value = |name: &str| {
        let fields = seen.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        let named = fields.filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim().to_owned()).collect::<Vec<_>>()
    };
    let (codings, lengths) = (value("transfer-encoding"), value("content-length"));
    let used = match (&codings[..], &lengths[..]) {
        ([], []) => 0,
        ([coding], []) if coding == "chunked" => {
            let (body, trailers, used) = parse_chunked(rest)?;
            (seen.body, seen.trailers) = (body, trailers);
            used
        }
        ([], [length]) => {
            let length = length.parse().map_err(|_| "Content-Length is not a number")?;
            seen.body = text(rest.get(..length).ok_or(MORE)?);
            length
        }
        _ => return Err("the framing is ambiguous"),
    };
    Ok((seen, end + 4 + used))
}

fn parse_chunked(bytes: &[u8]) -> Result<(String, String, usize), &'static str> {
    let mut body = Vec::new();
    let mut at = 0;
    let line = |at: usize| find(&bytes[at..], b"\r\n").map(|end| &bytes[at..at + end]).ok_or(MORE);
    loop {
        let size = line(at)?;
        at += size.len() + 2;
        if !size.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err("a chunk size is not plain");
        }
        let size = std::str::from_utf8(size).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.ok_or("a chunk size is not a number")?;
        if size == 0 {
            break;
        }
        let data = bytes.get(at..at + size + 2).ok_or(MORE)?;
        body.extend_from_slice(data.strip_suffix(b"\r\n").ok_or("no CRLF after a chunk")?);
        at += size + 2;
    }
    let start = at;
    loop {
        let trailer = line(at)?;
        at += trailer.len() + 2;
        if trailer.is_empty() {
            return Ok((text(&body), text(&bytes[start..at - 2]), at));
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Each byte as the character of that number, so that nothing is lost.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// What a hostile origin does with a request for `/probe`.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// It sends this, however wrong it is.
    pub bytes: Vec<u8>,
    /// Then it sends this, once [`Hostile::release`] was called.
    pub later: Vec<u8>,
    /// Then it ends the connection so; else it keeps it open.
    pub end: ScriptEnd,
}

/// How a hostile origin ends its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScriptEnd {
    /// It does not.
    #[default]
    Stay,
    /// With an end of file.
    Close,
    /// With a reset.
    Reset,
}

/// An origin that answers `/probe` by a script, and anything else with 200 and the target as the body.
#[derive(Debug)]
pub struct Hostile {
    port: u16,
    shared: Arc<Play>,
}

#[derive(Debug, Default)]
struct Play {
    connections: AtomicUsize,
    script: Mutex<Script>,
    /// Counts the releases that nobody has taken.
    released: Mutex<usize>,
    /// How often the later bytes were sent.
    sent: Mutex<usize>,
    wake: Condvar,
}

impl Hostile {
    /// Starts it. It runs until the test program ends.
    #[must_use]
    pub fn start() -> Self {
        // Not an `Origin`: that keeps copies of its connections, which makes a reset an end of file.
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::<Play>::default();
        let play = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                play.connections.fetch_add(1, Ordering::SeqCst);
                let play = Arc::clone(&play);
                std::thread::spawn(move || play.serve(stream));
            }
        });
        Self { port, shared }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections came.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// What it does from now on.
    pub fn play(&self, script: Script) {
        *self.shared.script.lock().unwrap() = script;
    }

    /// Has it send the later bytes of the script, and waits until it has.
    pub fn release(&self) {
        *self.shared.released.lock().unwrap() += 1;
        self.shared.wake.notify_all();
        let sent = self.shared.sent.lock().unwrap();
        let wait = self.shared.wake.wait_timeout_while(sent, PATIENCE, |sent| *sent == 0);
        let (mut sent, timeout) = wait.unwrap();
        assert!(!timeout.timed_out(), "the later bytes were not sent");
        *sent -= 1;
    }
}

impl Play {
    fn serve(&self, mut stream: TcpStream) {
        // What is sent has to be on its way when the call returns.
        stream.set_nodelay(true).unwrap();
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 << 10];
        loop {
            let Ok((request, length)) = parse(&bytes) else {
                let Ok(count @ 1..) = stream.read(&mut buffer) else { return };
                bytes.extend_from_slice(&buffer[..count]);
                continue;
            };
            bytes.drain(..length);
            let target = request.head.split(' ').nth(1).unwrap_or_default();
            if target != "/probe" {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", target.len());
                let _ = stream.write_all([head.as_bytes(), target.as_bytes()].concat().as_slice());
                continue;
            }
            let script = self.script.lock().unwrap().clone();
            let _ = stream.write_all(&script.bytes);
            if !script.later.is_empty() {
                let released = self.released.lock().unwrap();
                let mut released =
                    self.wake.wait_while(released, |released| *released == 0).unwrap();
                *released -= 1;
                let _ = stream.write_all(&script.later);
                *self.sent.lock().unwrap() += 1;
                self.wake.notify_all();
            }
            match script.end {
                ScriptEnd::Stay => {}
                ScriptEnd::Close => return,
                ScriptEnd::Reset => {
                    let socket = socket2::SockRef::from(&stream);
                    socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
                    return;
                }
            }
        }
    }
}
