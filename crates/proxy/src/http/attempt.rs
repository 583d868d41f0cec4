//! One try of an exchange: a request goes up and its response comes down, both at once, in one task.
//!
//! The request body and the response flow independently, each no faster than its reader takes it. The
//! response may begin, and end, before the request has been sent whole.

use std::task::{Context, Poll, ready};

use rosn_base::Buf;
use rosn_h1::{BodyDecoder, Framing, Limits, Method, Progress, ResponseHead, Version};
use rosn_http::wire::{BodyBuffer, WriteError, poll_read};

use super::failure::Failure;
use super::headers::Fields;
use super::reply::status_line;
use super::side::{Side, Writer};
use super::stream_failure::of_h2;
use super::tunnel::Switch;
use crate::context::Worker;
use crate::h2::{Filled, is_unsayable};

/// Interim responses that are passed on before the upstream is given up.
const MAX_INTERIM: u32 = 16;

/// A request body on its way.
pub(crate) struct RequestBody {
    pub(crate) buffer: BodyBuffer,
    pub(crate) decoder: BodyDecoder,
    /// Payload bytes that came so far.
    pub(crate) received: u64,
    /// More than this is refused.
    pub(crate) limit: u64,
}

/// How the head of the response is made; the attempt asks for it when the upstream's has come.
pub(crate) trait Respond {
    /// As what this response counts where it is to be tried again instead of passed on.
    fn refuses(
        &mut self,
        response: &ResponseHead,
        bytes: &[u8],
        can_replay: bool,
    ) -> Option<Failure>;

    /// Takes note that the first byte of the response came `at` this time, when the request had been `sent`; 0 = it
    /// has not been.
    fn began(&mut self, sent: u64, at: u64);

    /// Appends the head for the client to `out`, and says how the body is framed. `request` begins with
    /// the head of the request; `request_done` says whether all of it was read.
    fn encode(
        &mut self,
        response: &ResponseHead,
        bytes: &[u8],
        request: &[u8],
        request_done: bool,
        out: &mut Vec<u8>,
    ) -> Framing;

    /// Takes note of the end of the response, and of its trailers.
    fn ended(&mut self, trailers: &[u8]);
}

/// Everything that one try needs.
pub(crate) struct Attempt<'a, R> {
    pub(crate) worker: &'a Worker,
    pub(crate) client: &'a mut Side,
    pub(crate) upstream: &'a mut Side,
    /// Bytes of the client behind the head: pipelined requests, where this one has no body.
    pub(crate) inbound: &'a mut Buf,
    pub(crate) body: Option<&'a mut RequestBody>,
    pub(crate) request: Writer,
    pub(crate) response: &'a mut ResponseHead,
    pub(crate) limits: &'a Limits,
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) respond: R,
    /// Whether the connection served a request before.
    pub(crate) reused: bool,
    /// What the connections become if the upstream says so.
    pub(super) switch: &'a Switch,
    /// They have; what the upstream sent behind its response.
    pub(crate) switched: Option<Vec<u8>>,
    pub(crate) down: Down,
    /// Buffers for the head and the end of the response.
    pub(crate) buffers: (Vec<u8>, Vec<u8>),
    pub(crate) received: Option<Buf>,
    pub(crate) interim: u32,
    /// The upstream takes no more of the request.
    pub(crate) request_failed: Option<std::io::Error>,
    pub(crate) request_done: bool,
    pub(crate) client_eof: bool,
    /// When the client begins to be watched, where it is not.
    pub(crate) slow_at: u64,
    /// When bytes last moved, in nanoseconds of the worker's clock.
    pub(crate) progress: u64,
    pub(crate) read_from_upstream: u64,
    pub(crate) read_from_client: u64,
    pub(crate) written_to_client: u64,
    /// Bytes of the body that were written, once all are.
    pub(crate) payload: u64,
    /// When the first byte of the response came; 0 = not yet.
    pub(crate) head_at: u64,
    /// When the request was sent whole; 0 = not yet.
    pub(crate) request_sent_at: u64,
}

/// How many bytes went where.
pub(crate) struct Traffic {
    pub(crate) from_client: u64,
    pub(crate) to_upstream: u64,
    pub(crate) from_upstream: u64,
    pub(crate) to_client: u64,
    /// Bytes of the response's body.
    pub(crate) payload: u64,
}

/// How far the response has come.
#[expect(clippy::large_enum_variant, reason = "an exchange has one, and most come to have a body")]
pub(crate) enum Down {
    /// Its head is awaited.
    Head,
    /// Interim responses are being passed on; the count of bytes already written.
    Interim(usize),
    /// Its body flows.
    Body { writer: Writer, buffer: BodyBuffer, decoder: BodyDecoder },
    /// All of it was written.
    Done { clean: bool },
}

impl<R: Respond> Attempt<'_, R> {
    /// Goes on as far as possible. Ready when the response was written whole, or when it failed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if !self.request_done && self.request_failed.is_none() {
            match self.poll_request(cx) {
                Poll::Ready(Ok(())) => {
                    self.request_done = true;
                    self.request_sent_at = self.worker.clock.now();
                }
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => {}
            }
        }
        match self.poll_response(cx) {
            Poll::Pending => {}
            ready => return ready,
        }
        // While a body of HTTP/1.1 comes, its end is seen there.
        let is_watched = self.request_done || self.client.is_http2();
        if is_watched && (self.client.is_watched() || self.is_slow()) {
            ready!(self.poll_client(cx))?;
        }
        Poll::Pending
    }

    /// Whether the response takes so long that it is worth to watch what the client does meanwhile.
    fn is_slow(&self) -> bool {
        self.worker.clock.now() >= self.slow_at
    }

    /// When to look again although nothing has happened.
    pub(crate) fn look_at(&self) -> u64 {
        if self.client.is_watched() || self.is_slow() { u64::MAX } else { self.slow_at }
    }

    /// How many bytes moved in this try.
    pub(crate) fn traffic(&self) -> Traffic {
        let (writing, payload) = match &self.down {
            Down::Body { writer, .. } => (writer.written(), writer.payload()),
            _ => (0, self.payload),
        };
        Traffic {
            from_client: self.read_from_client,
            to_upstream: self.request.written(),
            from_upstream: self.read_from_upstream,
            to_client: self.written_to_client + writing,
            payload,
        }
    }

    /// Whether the client has seen a part of the final response, or only a part of an interim one.
    pub(crate) fn has_begun(&self) -> bool {
        match self.down {
            Down::Head => false,
            Down::Interim(written) => 0 < written && written < self.buffers.0.len(),
            Down::Body { .. } | Down::Done { .. } => true,
        }
    }

    /// Whether the response waits for the client to read, and not for the upstream.
    pub(crate) fn waits_for_client(&self) -> bool {
        matches!(&self.down, Down::Body { writer, .. } if writer.is_waiting())
    }

    /// Whether the request waits for the client to send more of its body.
    pub(crate) fn waits_for_body(&self) -> bool {
        !self.request_done && self.request_failed.is_none() && !self.request.is_waiting()
    }

    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Some(body) = self.body.as_deref_mut() else {
            let mut none = BodyBuffer::new(Buf::default(), false);
            return match ready!(self.request.poll_write(cx, self.upstream, &mut none, Some(&[]))) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(error) => self.request_broke(error),
            };
        };
        loop {
            let before = body.buffer.pending().len();
            let ended = body.buffer.decode(&mut body.decoder).map_err(Failure::ClientBody)?;
            body.received += (body.buffer.pending().len() - before) as u64;
            if body.received > body.limit {
                return Poll::Ready(Err(Failure::BodyTooLarge));
            }
            let end = ended.then(|| body.decoder.trailers());
            match ready!(self.request.poll_write(cx, self.upstream, &mut body.buffer, end)) {
                Ok(()) => {}
                Err(error) => return self.request_broke(error),
            }
            if self.request.is_finished() {
                return Poll::Ready(Ok(()));
            }
            if !body.buffer.has_room() {
                continue; // raw bytes fill the buffer: decode them first
            }
            let RequestBody { buffer, decoder, received, .. } = body;
            let pool = &self.worker.upstream_buffers;
            match ready!(self.client.poll_fill(cx, pool, buffer, decoder)) {
                Filled::Bytes(count) => {
                    self.read_from_client += count as u64;
                    self.progress = self.worker.clock.refresh();
                    // Of HTTP/1.1 they are counted when they have been decoded.
                    *received += if self.client.is_http2() { count as u64 } else { 0 };
                }
                Filled::End => {}
                Filled::Invalid(error) => return Poll::Ready(Err(Failure::ClientBody(error))),
                Filled::Gone(_) => return Poll::Ready(Err(Failure::ClientGone)),
            }
        }
    }

    /// The upstream takes no more of the request; it may have answered all the same.
    fn request_broke(&mut self, error: WriteError) -> Poll<Result<(), Failure>> {
        match error {
            WriteError::Io(error) if is_unsayable(&error) => Poll::Ready(Err(Failure::Unsayable)),
            WriteError::Io(error) => {
                self.request_failed = Some(error);
                Poll::Pending
            }
            WriteError::Body(error) => Poll::Ready(Err(Failure::ClientBody(error))),
        }
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            match &mut self.down {
                Down::Head => ready!(self.poll_head(cx))?,
                Down::Interim(written) => {
                    let before = *written;
                    let passed = self.client.poll_interim(cx, &self.buffers.0, written);
                    self.written_to_client += (*written - before) as u64;
                    if let (true, Side::Http2(stream)) = (passed.is_pending(), &mut *self.upstream)
                    {
                        self.interim += stream.skip_interim(cx);
                        if self.interim > MAX_INTERIM {
                            return Poll::Ready(Err(too_many_interim()));
                        }
                    }
                    if ready!(passed).is_err() {
                        return Poll::Ready(Err(Failure::ClientGone));
                    }
                    self.buffers.0.clear();
                    self.down = Down::Head;
                }
                Down::Body { writer, buffer, decoder } => {
                    let ended = match buffer.decode(decoder) {
                        Ok(ended) => ended,
                        Err(error) => return Poll::Ready(Err(Failure::broken(&error))),
                    };
                    let end = ended.then(|| decoder.trailers());
                    match ready!(writer.poll_write(cx, self.client, buffer, end)) {
                        Ok(()) => {}
                        Err(WriteError::Io(_)) => return Poll::Ready(Err(Failure::ClientGone)),
                        Err(WriteError::Body(error)) => {
                            return Poll::Ready(Err(Failure::broken(&error)));
                        }
                    }
                    if writer.is_finished() {
                        self.respond.ended(decoder.trailers());
                        self.finish();
                        return Poll::Ready(Ok(()));
                    }
                    if !buffer.has_room() {
                        continue;
                    }
                    let pool = &self.worker.upstream_buffers;
                    match ready!(self.upstream.poll_fill(cx, pool, buffer, decoder)) {
                        Filled::Bytes(count) => {
                            self.read_from_upstream += count as u64;
                            self.progress = self.worker.clock.refresh();
                        }
                        Filled::End => {}
                        Filled::Gone(None) if !self.upstream.is_http2() => {
                            let ended = decoder.eof(self.upstream.was_cut_off());
                            ended.map_err(|error| Failure::broken(&error))?;
                        }
                        Filled::Invalid(error) => {
                            return Poll::Ready(Err(Failure::broken(&error)));
                        }
                        Filled::Gone(error) => {
                            let why = error.map(|error| error.to_string());
                            return Poll::Ready(Err(Failure::Broken(why)));
                        }
                    }
                }
                Down::Done { .. } => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Reads and parses until a head is there, and begins to pass it on.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let is_sending = !self.request_done && self.request_failed.is_none();
        loop {
            if let Some(received) = &mut self.received
                && !received.is_empty()
            {
                let bytes = received.unread();
                match self.response.parse(bytes, self.limits, self.method) {
                    // The client may not go on before it has sent its request: RFC 9110 section 7.8.
                    Ok(Progress::Complete(_))
                        if is_sending && self.switch.is_made_by(self.response.status()) =>
                    {
                        return Poll::Pending;
                    }
                    Ok(Progress::Complete(len)) => return Poll::Ready(self.begin(len)),
                    Ok(Progress::Partial) => {}
                    Err(error) => return Poll::Ready(Err(Failure::Protocol(error))),
                }
            }
            let count = match ready!(self.poll_receive(cx)) {
                Ok(0) => return Poll::Ready(Err(self.ended_early(None))),
                Ok(count) => count,
                Err(error) => return Poll::Ready(Err(self.ended_early(Some(error)))),
            };
            self.read_from_upstream += count as u64;
            self.progress = self.worker.clock.refresh();
            if self.head_at == 0 {
                self.head_at = self.progress;
                self.respond.began(self.request_sent_at, self.head_at);
            }
        }
    }

    /// Reads more of the response's head; how much that was.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let stream = match &mut *self.upstream {
            Side::Http1(stream) => stream,
            Side::Http2(stream) => {
                let (kept, pool) = (&mut self.received, &self.worker.upstream_buffers);
                let into = || kept.take().unwrap_or_else(|| pool.take());
                let text = ready!(stream.poll_head(cx, self.method, into))?;
                let count = text.len();
                self.received = Some(text);
                return Poll::Ready(Ok(count));
            }
        };
        if self.received.is_none() {
            // A buffer is taken only when there is something to read.
            ready!(stream.poll_read_ready(cx))?;
            self.received = Some(self.worker.upstream_buffers.take());
        }
        let received = self.received.as_mut().expect("it was made above");
        if received.room().is_empty() {
            received.compact();
            if received.room().is_empty() {
                // The parser refuses what is longer than the limit before this grows past it.
                received.grow(received.capacity() * 2);
            }
        }
        poll_read(cx, stream, received)
    }

    fn ended_early(&mut self, error: Option<std::io::Error>) -> Failure {
        if self.upstream.is_http2() {
            let error = match (error, self.request_failed.take()) {
                (Some(error), Some(failed)) if of_h2(&error).is_none() => Some(failed),
                (error, failed) => error.or(failed),
            };
            return Failure::Reset(error);
        }
        let nothing_came = self.received.as_ref().is_none_or(Buf::is_empty) && self.interim == 0;
        if self.reused && nothing_came {
            Failure::Stale
        } else {
            Failure::Reset(error.or_else(|| self.request_failed.take()))
        }
    }

    fn begin(&mut self, len: usize) -> Result<(), Failure> {
        let received = self.received.as_mut().expect("a head was parsed");
        let response = &mut *self.response;
        if self.switch.is_made(response, received.unread())? {
            if let Some(error) = self.request_failed.take() {
                return Err(Failure::Reset(Some(error)));
            }
            self.switched = Some(Vec::new());
        } else if self.client.is_http2()
            && matches!(self.switch, Switch::Upgrade(_))
            && (200..300).contains(&response.status())
        {
            // To an extended CONNECT that would say yes (RFC 8441 section 5).
            return Err(Failure::Unexpected("the upstream said 2xx and did not switch protocols"));
        }
        if response.is_interim() {
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Err(too_many_interim());
            }
            if self.version == Version::Http11 {
                let (bytes, out) = (received.unread(), &mut self.buffers.0);
                status_line(response.status(), response.reason().of(bytes), out);
                Fields { bytes, fields: response.fields() }.encode(|_| false, out);
                out.extend_from_slice(b"\r\n");
            }
            received.consume(len);
            response.reset();
            self.down = Down::Interim(0);
            return Ok(());
        }
        let can_replay = self.body.as_ref().is_none_or(|body| body.buffer.can_replay());
        if let Some(failure) = self.respond.refuses(response, received.unread(), can_replay) {
            return Err(failure);
        }
        if let Some(body) = self.body.as_deref_mut() {
            body.buffer.stop_retaining();
        }
        let (mut head, tail) = std::mem::take(&mut self.buffers);
        let bytes = received.unread();
        let framing = {
            let (request, done) = (self.inbound.unread(), self.request_done);
            self.respond.encode(response, bytes, request, done, &mut head)
        };
        let mut buffer = self.received.take().expect("a head was parsed");
        buffer.consume(len);
        let mut decoder = self.upstream.decoder(response.framing(), self.limits);
        if self.upstream.has_ended() {
            // Known in time, the head of the client's response is the end of it, too: clients of gRPC insist on that
            // where the head holds the status of the call. What is wrong with it, reading the body will say.
            let _ = decoder.end(b"");
        }
        self.down = Down::Body {
            writer: self.client.writer(head, tail, framing, self.switched.is_some()),
            buffer: BodyBuffer::new(buffer, false),
            decoder,
        };
        Ok(())
    }

    fn finish(&mut self) {
        let done = Down::Done { clean: false };
        let Down::Body { writer, buffer, .. } = std::mem::replace(&mut self.down, done) else {
            return;
        };
        self.written_to_client += writer.written();
        self.payload = writer.payload();
        self.buffers = writer.into_buffers();
        let clean = buffer.raw().is_empty();
        if let Some(early) = &mut self.switched {
            early.extend_from_slice(buffer.raw());
        }
        self.worker.upstream_buffers.give(buffer.into_rest());
        self.down = Down::Done { clean };
    }

    /// Looks whether the client is gone, or sends more requests, while the response is awaited.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let stream = match &mut *self.client {
            Side::Http1(stream) => stream,
            Side::Http2(stream) => {
                ready!(stream.poll_gone(cx));
                return Poll::Ready(Err(Failure::ClientGone));
            }
        };
        while !self.client_eof {
            let read = match self.body.as_deref_mut() {
                None if self.inbound.room().is_empty() => return Poll::Pending,
                None => poll_read(cx, stream, self.inbound),
                // The body was sent whole: its buffer takes what follows it.
                Some(body) => {
                    if body.buffer.is_full() {
                        return Poll::Pending;
                    }
                    if body.buffer.is_released() {
                        let _ = ready!(stream.poll_read_ready(cx));
                        body.buffer.restore(self.worker.upstream_buffers.take());
                    }
                    body.buffer.poll_fill(cx, stream)
                }
            };
            match ready!(read) {
                Ok(0) => self.client_eof = true,
                Ok(count) => self.read_from_client += count as u64,
                Err(_) => return Poll::Ready(Err(Failure::ClientGone)),
            }
        }
        Poll::Pending
    }
}

fn too_many_interim() -> Failure {
    Failure::Unexpected("the upstream sent too many interim responses")
}
