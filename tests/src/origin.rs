//! Servers behind the proxy that do what a test needs.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::client::{Client, headers_of};

/// A server on a port of 127.0.0.1, with a thread for each connection. Dropping it closes everything.
#[derive(Debug)]
pub struct Origin {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    connections: AtomicUsize,
    requests: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

/// A request, its body without the framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target, as it came.
    pub target: String,
    /// Everything before the body, as it came.
    pub head: String,
    /// Names as they came, and values.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
    /// The trailers of a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header; several are joined by a comma.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

/// A response with status 200 and a text.
#[must_use]
pub fn ok(body: &str) -> Vec<u8> {
    response(200, &[], body.as_bytes())
}

/// A response with a length.
#[must_use]
pub fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Some Reason\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

impl Origin {
    /// Answers each request with the bytes of `respond`. The connection is kept, unless they have
    /// `Connection: close` in their head, or are none.
    #[must_use]
    pub fn http(respond: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::http_on(0, respond)
    }

    /// The same on a certain port.
    #[must_use]
    pub fn http_on(
        port: u16,
        respond: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(port, move |stream, shared| {
            let mut client = Client::over(stream).without_timeout();
            while !client.at_end() {
                let request = read_request(&mut client);
                shared.requests.fetch_add(1, Ordering::SeqCst);
                let response = respond(&request);
                let end = response.windows(4).position(|four| four == b"\r\n\r\n");
                let head = String::from_utf8_lossy(&response[..end.unwrap_or(0)]).to_lowercase();
                let sent = client.try_send(&response);
                if response.is_empty() || sent.is_err() || head.contains("connection: close") {
                    break;
                }
            }
        })
    }

    /// Hands each connection to `serve`, and closes it after that.
    #[must_use]
    pub fn raw(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::serve(0, move |stream, _| serve(stream))
    }

    fn serve(port: u16, serve: impl Fn(TcpStream, &Shared) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .unwrap_or_else(|error| panic!("an origin on port {port}: {error}"));
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                accepting.open.lock().unwrap().push(stream.try_clone().unwrap());
                let (serve, shared) = (Arc::clone(&serve), Arc::clone(&accepting));
                std::thread::spawn(move || {
                    let own = stream.try_clone().unwrap();
                    serve(stream, &shared);
                    // A clone is kept above, so dropping alone would not end it.
                    let _ = own.shutdown(Shutdown::Both);
                    let peer = own.peer_addr().ok();
                    let mut open = shared.open.lock().unwrap();
                    open.retain(|other| {
                        other.peer_addr().ok() != peer && other.peer_addr().is_ok()
                    });
                });
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

    /// How many requests came.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Closes every open connection, and goes on accepting.
    pub fn close_connections(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.close_connections();
    }
}

fn read_request(client: &mut Client) -> Request {
    let head = client.read_head();
    let headers = headers_of(&head);
    let mut words = head.split([' ', '\r']);
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, target) = (word(), word());
    let mut request = Request { method, target, head, headers, body: vec![], trailers: vec![] };
    if request.header("expect").is_some() {
        client.send("HTTP/1.1 100 Continue\r\n\r\n");
    }
    if request.header("transfer-encoding").is_some() {
        (request.body, request.trailers) = client.read_chunked();
    } else if let Some(length) = request.header("content-length") {
        request.body = client.read_exact(length.parse().expect("content-length"));
    }
    request
}
