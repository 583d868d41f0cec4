//! A client of HTTP/2 that sends the very frames that it is told to.

pub mod hpack;
pub mod server;

use std::collections::BTreeMap;

use crate::client::Client;

/// Frame types.
#[allow(missing_docs, reason = "the names are those of RFC 9113 section 6")]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Error codes.
#[allow(missing_docs, reason = "the names are those of RFC 9113 section 7")]
pub mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const INTERNAL_ERROR: u32 = 2;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// END_STREAM of DATA and HEADERS, ACK of SETTINGS and PING.
pub const END_STREAM: u8 = 1;
/// See [`END_STREAM`].
pub const ACK: u8 = 1;
/// END_HEADERS of HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 4;

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// One of [`kind`].
    pub kind: u8,
    /// Depends on the kind.
    pub flags: u8,
    /// 0 = the connection.
    pub stream: u32,
    /// What follows the nine bytes.
    pub payload: Vec<u8>,
}

/// What came on a stream so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// 0 = none yet.
    pub status: u16,
    /// Statuses of interim responses.
    pub interim: Vec<u16>,
    /// Without `:status`.
    pub headers: hpack::Fields,
    /// The content.
    pub body: Vec<u8>,
    /// Fields behind the content.
    pub trailers: hpack::Fields,
    /// END_STREAM came.
    pub ended: bool,
    /// The code of RST_STREAM.
    pub reset: Option<u32>,
}

impl Answer {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection. It answers SETTINGS, and opens windows as DATA is read, unless it is told not to.
#[derive(Debug)]
pub struct Http2 {
    client: Client,
    decoder: hpack::Decoder,
    next: u32,
    /// What came on streams.
    answers: BTreeMap<u32, Answer>,
    /// Last stream and code of each GOAWAY that came.
    pub goaways: Vec<(u32, u32)>,
    /// The settings of the peer.
    pub settings: BTreeMap<u16, u32>,
    /// What may be sent on the connection (0), and what streams were given beyond their first window.
    windows: BTreeMap<u32, i64>,
    /// What came as answers to PING.
    pub pongs: Vec<Vec<u8>>,
    /// Gives credit for DATA that was read.
    pub opens_windows: bool,
    /// The connection is at its end.
    pub is_over: bool,
}

impl Http2 {
    /// Connects to a port of 127.0.0.1 and says the preface and these settings.
    #[must_use]
    pub fn connect_with(port: u16, settings: &[(u16, u32)]) -> Self {
        let mut this = Self::over(Client::connect(port));
        this.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        this.settings(settings);
        this
    }

    /// The same with the default settings.
    #[must_use]
    pub fn connect(port: u16) -> Self {
        Self::connect_with(port, &[])
    }

    /// On a connection that has said nothing.
    #[must_use]
    pub fn over(client: Client) -> Self {
        Self {
            client,
            decoder: hpack::Decoder::default(),
            next: 1,
            answers: BTreeMap::new(),
            goaways: Vec::new(),
            settings: BTreeMap::new(),
            windows: BTreeMap::from([(0, 65_535)]),
            pongs: Vec::new(),
            opens_windows: true,
            is_over: false,
        }
    }

    /// The connection below.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.client.send(bytes);
    }

    /// Sends a frame; one that the peer does not take any more is no fault.
    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let _ = self.client.try_send(bytes_of(kind, flags, stream, payload));
    }

    /// Sends SETTINGS.
    pub fn settings(&mut self, settings: &[(u16, u32)]) {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(key, value)| [&key.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        self.frame(kind::SETTINGS, 0, 0, &payload);
    }

    /// Sends a head on the next stream; says which that is.
    pub fn open(&mut self, fields: &[(&str, &str)], ends: bool) -> u32 {
        let id = self.next;
        self.next += 2;
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.frame(kind::HEADERS, flags, id, &hpack::encode(fields));
        id
    }

    /// The next stream was opened by frames of the test's own.
    pub fn skip_stream(&mut self) {
        self.next += 2;
    }

    /// Sends a request without a body; says on which stream.
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> u32 {
        self.open(&[&head(method, path)[..], headers].concat(), true)
    }

    /// Sends the head of a request whose body follows; says on which stream.
    pub fn begin(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> u32 {
        self.open(&[&head(method, path)[..], headers].concat(), false)
    }

    /// Sends content without a look at windows.
    pub fn data(&mut self, stream: u32, bytes: &[u8], ends: bool) {
        self.frame(kind::DATA, u8::from(ends) * END_STREAM, stream, bytes);
    }

    /// Sends trailers.
    pub fn trailers(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &hpack::encode(fields));
    }

    /// Sends RST_STREAM.
    pub fn reset(&mut self, stream: u32, code: u32) {
        self.frame(kind::RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    /// Sends WINDOW_UPDATE.
    pub fn window(&mut self, stream: u32, more: u32) {
        self.frame(kind::WINDOW_UPDATE, 0, stream, &more.to_be_bytes());
    }

    /// Sends a whole body, as far as the windows let it.
    pub fn body(&mut self, stream: u32, body: &[u8]) {
        while self.settings.is_empty() && self.step().is_some() {}
        let initial = i64::from(self.settings.get(&4).copied().unwrap_or(65_535));
        let (mut rest, mut sent) = (body, 0);
        while !rest.is_empty() && !self.is_over {
            let more = self.windows.get(&stream).copied().unwrap_or(0);
            let window = (initial + more - sent).min(self.windows.get(&0).copied().unwrap_or(0));
            let count = rest.len().min(16 << 10).min(usize::try_from(window).unwrap_or(0));
            if count == 0 {
                self.step();
                continue;
            }
            let (now, later) = rest.split_at(count);
            self.data(stream, now, false);
            *self.windows.entry(0).or_default() -= count as i64;
            (rest, sent) = (later, sent + count as i64);
        }
        self.data(stream, b"", true);
    }

    /// A whole GET.
    pub fn get(&mut self, path: &str) -> Answer {
        let stream = self.request("GET", path, &[]);
        self.answer(stream)
    }

    /// Reads until the stream has ended, by END_STREAM or by a reset, or the connection has.
    pub fn answer(&mut self, stream: u32) -> Answer {
        self.until(stream, |answer| answer.ended || answer.reset.is_some())
    }

    /// Reads until this holds for what came on the stream so far, or the connection has ended.
    pub fn until(&mut self, stream: u32, what: impl Fn(&Answer) -> bool) -> Answer {
        loop {
            let answer = self.answers.entry(stream).or_default();
            if what(answer) || self.is_over {
                return answer.clone();
            }
            self.step();
        }
    }

    /// Reads until the connection has ended; gives the last GOAWAY.
    pub fn end(&mut self) -> Option<(u32, u32)> {
        while !self.is_over {
            self.step();
        }
        self.goaways.last().copied()
    }

    /// Reads one frame and takes note of it.
    pub fn step(&mut self) -> Option<Frame> {
        let frame = self.next_frame()?;
        let Frame { kind, flags, stream, payload } = &frame;
        let number = |at: usize| {
            u32::from_be_bytes(payload[at..at + 4].try_into().expect("four bytes")) & 0x7fff_ffff
        };
        match *kind {
            kind::SETTINGS if flags & ACK == 0 => {
                for pair in payload.chunks(6) {
                    let key = u16::from_be_bytes([pair[0], pair[1]]);
                    let value = u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]);
                    self.settings.insert(key, value);
                }
                self.frame(kind::SETTINGS, ACK, 0, b"");
            }
            kind::PING if flags & ACK == 0 => self.frame(kind::PING, ACK, 0, payload),
            kind::PING => self.pongs.push(payload.clone()),
            kind::GOAWAY => self.goaways.push((number(0), number(4))),
            kind::WINDOW_UPDATE => {
                *self.windows.entry(*stream).or_default() += i64::from(number(0))
            }
            kind::RST_STREAM => self.answers.entry(*stream).or_default().reset = Some(number(0)),
            kind::HEADERS => {
                assert!(flags & END_HEADERS != 0, "CONTINUATION is not read");
                let fields = self.decoder.decode(payload);
                self.answers.entry(*stream).or_default().head(fields);
            }
            kind::DATA => {
                self.answers.entry(*stream).or_default().body.extend_from_slice(payload);
                if self.opens_windows && !payload.is_empty() {
                    let count = u32::try_from(payload.len()).expect("a frame");
                    self.window(0, count);
                    self.window(*stream, count);
                }
            }
            _ => {}
        }
        if matches!(*kind, kind::HEADERS | kind::DATA) && flags & END_STREAM != 0 {
            self.answers.entry(*stream).or_default().ended = true;
        }
        Some(frame)
    }

    /// Reads one frame and takes no note of it.
    pub fn next_frame(&mut self) -> Option<Frame> {
        let Some(head) = self.client.try_read_exact(9) else {
            self.is_over = true;
            return None;
        };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        let payload = self.client.try_read_exact(length as usize)?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }
}

impl Answer {
    fn head(&mut self, mut fields: hpack::Fields) {
        if self.status > 0 || !self.headers.is_empty() {
            self.trailers = fields;
            return;
        }
        if fields[0].0 == ":method" {
            self.headers = fields;
            return;
        }
        let (name, status) = fields.remove(0);
        assert_eq!(name, ":status");
        match status.parse().expect("a number") {
            interim @ 100..200 => self.interim.push(interim),
            status => (self.status, self.headers) = (status, fields),
        }
    }
}

/// The pseudo-headers of a request to `http://localhost`.
#[must_use]
pub fn head<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path)]
}

/// A frame on the wire.
#[must_use]
pub fn bytes_of(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
