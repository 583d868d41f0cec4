//! The other end of a connection of HTTP/2: it reads requests, and answers with the very frames that it is told to.

use std::net::TcpStream;

use super::{Answer, END_HEADERS, END_STREAM, Http2, hpack, kind};
use crate::client::Client;

/// A connection that was accepted. What came of a request is an [`Answer`] whose headers begin with the pseudo-headers.
#[derive(Debug)]
pub struct Server {
    /// The connection; its answers are requests.
    pub http2: Http2,
    /// The last request that was looked at.
    last: u32,
}

impl Server {
    /// Reads the preface, and says its settings.
    ///
    /// # Panics
    ///
    /// If the other side does not begin with the preface.
    #[must_use]
    pub fn accept(stream: TcpStream, settings: &[(u16, u32)]) -> Self {
        let mut this = Self::accept_silently(stream);
        this.http2.settings(settings);
        this
    }

    /// Reads the preface, and says nothing.
    ///
    /// # Panics
    ///
    /// If the other side does not begin with the preface.
    #[must_use]
    pub fn accept_silently(stream: TcpStream) -> Self {
        let mut client = Client::over(stream);
        assert_eq!(client.read_exact(24), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        Self { http2: Http2::over(client), last: 0 }
    }

    /// Waits for the head of the next request; says on which stream it is.
    ///
    /// # Panics
    ///
    /// If the connection ends instead.
    pub fn next_request(&mut self) -> u32 {
        self.try_next_request().expect("the connection ended")
    }

    /// The same; `None` if the connection ends instead.
    pub fn try_next_request(&mut self) -> Option<u32> {
        let id = if self.last == 0 { 1 } else { self.last + 2 };
        while !self.http2.answers.contains_key(&id) {
            if self.http2.is_over {
                return None;
            }
            self.http2.step();
        }
        self.last = id;
        Some(id)
    }

    /// The next request, once all of it is there.
    pub fn whole_request(&mut self) -> (u32, Answer) {
        let id = self.next_request();
        (id, self.http2.answer(id))
    }

    /// Sends the head of a response.
    pub fn head(&mut self, stream: u32, status: &str, headers: &[(&str, &str)], ends: bool) {
        let fields = [&[(":status", status)], headers].concat();
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.http2.frame(kind::HEADERS, flags, stream, &hpack::encode(&fields));
    }

    /// Sends a whole response.
    pub fn respond(&mut self, stream: u32, status: &str, headers: &[(&str, &str)], body: &[u8]) {
        self.head(stream, status, headers, body.is_empty());
        if !body.is_empty() {
            self.http2.data(stream, body, true);
        }
    }

    /// Sends GOAWAY.
    pub fn go_away(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.http2.frame(kind::GOAWAY, 0, 0, &payload);
    }
}
