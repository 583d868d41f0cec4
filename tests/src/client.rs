//! A client that sends the very bytes that it is told to.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::PATIENCE;

/// A connection. Reads fail after [`PATIENCE`].
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    /// Read and not yet taken.
    read: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A response, its body without the framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Everything before the body, as it came.
    pub head: String,
    /// Names as they came, and values.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
    /// The trailers of a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Response {
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

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Parses header lines.
pub(crate) fn headers_of(head: &str) -> Vec<(String, String)> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

impl Client {
    /// Connects to a port of 127.0.0.1.
    #[must_use]
    pub fn connect(port: u16) -> Self {
        Self::connect_to(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// Connects to any address.
    #[must_use]
    pub fn connect_to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        Self::over(stream)
    }

    /// Takes a connection that is already there.
    #[must_use]
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: Stream::Tcp(stream), read: Vec::new() }
    }

    /// Connects to a unix socket.
    #[must_use]
    pub fn connect_unix(path: &Path) -> Self {
        Self::try_connect_unix(path)
            .unwrap_or_else(|error| panic!("cannot connect to {}: {error}", path.display()))
    }

    /// Connects to a unix socket, if somebody listens.
    pub fn try_connect_unix(path: &Path) -> std::io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: Stream::Unix(stream), read: Vec::new() })
    }

    /// The TCP connection.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Tcp(stream) => stream,
            Stream::Unix(_) => panic!("this is a unix socket"),
        }
    }

    /// Sends all of it.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("send");
    }

    /// Sends as much of it as the peer takes.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes.as_ref()),
            Stream::Unix(stream) => stream.write_all(bytes.as_ref()),
        }
    }

    /// Ends the direction to the peer.
    pub fn shutdown_write(&mut self) {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write).expect("shutdown"),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write).expect("shutdown"),
        }
    }

    /// GET on a connection that stays open.
    pub fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, &[], b"")
    }

    /// A request with `Host: localhost`, these headers and, unless it is empty, a body with its length.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str("Host: localhost\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.send([head.as_bytes(), body].concat());
        self.read_response_to(method)
    }

    /// Reads one response to a request that was not HEAD.
    pub fn read_response(&mut self) -> Response {
        self.read_response_to("GET")
    }

    /// Reads one response; what method it answers says whether it can have a body.
    pub fn read_response_to(&mut self, method: &str) -> Response {
        let head = self.read_head();
        let headers = headers_of(&head);
        let status = head.get(9..12).and_then(|code| code.parse().ok());
        let status: u16 = status.unwrap_or_else(|| panic!("no status: {head:?}"));
        let mut response = Response { status, head, headers, body: vec![], trailers: vec![] };
        if method == "HEAD" || status < 200 || matches!(status, 204 | 304) {
            return response;
        }
        if response.header("transfer-encoding").is_some_and(|codings| codings.ends_with("chunked"))
        {
            (response.body, response.trailers) = self.read_chunked();
        } else if let Some(length) = response.header("content-length") {
            response.body = self.read_exact(length.parse().expect("content-length"));
        } else {
            response.body = self.read_to_end();
        }
        response
    }

    /// Reads up to and with the empty line.
    pub fn read_head(&mut self) -> String {
        let mut from = 0;
        loop {
            let found = self.read[from..].windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = found {
                let head: Vec<u8> = self.read.drain(..from + end + 4).collect();
                return String::from_utf8_lossy(&head).into_owned();
            }
            from = self.read.len().saturating_sub(3);
            let read = self.fill().expect("read a head");
            assert!(
                read > 0,
                "the end came within a head: {:?}",
                String::from_utf8_lossy(&self.read)
            );
        }
    }

    /// Reads this many bytes.
    pub fn read_exact(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            let read = self.fill().expect("read");
            assert!(read > 0, "the end came after {} of {count} bytes", self.read.len());
        }
        self.read.drain(..count).collect()
    }

    /// Reads this many bytes; `None` where the peer ends before, cleanly or not.
    pub fn try_read_exact(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.read.len() < count {
            match self.fill() {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("read: {error}"),
            }
        }
        Some(self.read.drain(..count).collect())
    }

    /// Reads until the peer ends, cleanly or not.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        loop {
            match self.fill() {
                Ok(0) => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Ok(_) => {}
                Err(error) => panic!("read to the end: {error}"),
            }
        }
        std::mem::take(&mut self.read)
    }

    /// Reads whatever comes next, at least one byte.
    pub fn read_some(&mut self) -> Vec<u8> {
        if self.read.is_empty() {
            assert!(self.fill().expect("read") > 0, "the end came");
        }
        std::mem::take(&mut self.read)
    }

    /// Waits for the peer to end; whether that was the next thing it did, and clean.
    pub fn is_closed(&mut self) -> bool {
        self.read.is_empty() && matches!(self.fill(), Ok(0))
    }

    /// Waits for the peer to reset; whether that was the next thing it did.
    pub fn is_reset(&mut self) -> bool {
        self.read.is_empty()
            && self.fill().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
    }

    /// Whether nothing has come, without waiting.
    pub fn is_quiet(&mut self) -> bool {
        self.set_nonblocking(true);
        let result = self.fill();
        self.set_nonblocking(false);
        self.read.is_empty() && result.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    fn set_nonblocking(&self, on: bool) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_nonblocking(on).unwrap(),
            Stream::Unix(stream) => stream.set_nonblocking(on).unwrap(),
        }
    }

    fn fill(&mut self) -> std::io::Result<usize> {
        let mut buffer = [0; 64 << 10];
        let count = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut buffer)?,
            Stream::Unix(stream) => stream.read(&mut buffer)?,
        };
        self.read.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    fn read_line(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..end + 2).collect();
                return String::from_utf8(line[..end].to_vec()).expect("a line in UTF-8");
            }
            assert!(self.fill().expect("read a line") > 0, "the end came within a line");
        }
    }

    /// Reads a chunked body and its trailers.
    pub(crate) fn read_chunked(&mut self) -> (Vec<u8>, Vec<(String, String)>) {
        let mut body = Vec::new();
        loop {
            let line = self.read_line();
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16)
                .unwrap_or_else(|_| panic!("not the size of a chunk: {line:?}"));
            if size == 0 {
                break;
            }
            body.extend(self.read_exact(size));
            assert_eq!(self.read_line(), "", "after a chunk");
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.read_line();
            match line.split_once(':') {
                Some((name, value)) => trailers.push((name.to_owned(), value.trim().to_owned())),
                None => return (body, trailers),
            }
        }
    }

    /// Whether the peer has ended before another message.
    pub(crate) fn at_end(&mut self) -> bool {
        self.read.is_empty() && !matches!(self.fill(), Ok(1..))
    }

    /// Waits for as long as the peer likes.
    pub fn without_timeout(self) -> Self {
        if let Stream::Tcp(stream) = &self.stream {
            stream.set_read_timeout(None).unwrap();
        }
        self
    }
}

impl Read for Client {
    /// What was read ahead comes first.
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.read.is_empty() && self.fill()? == 0 {
            return Ok(0);
        }
        let count = into.len().min(self.read.len());
        into[..count].copy_from_slice(&self.read[..count]);
        self.read.drain(..count);
        Ok(count)
    }
}
