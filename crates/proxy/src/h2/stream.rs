//! A stream of HTTP/2: one request and its response, of which this end writes the one and reads the other.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use ::h2::client::{ResponseFuture, SendRequest};
use ::h2::server::SendResponse;
use ::h2::{Reason, RecvStream, SendStream};
use bytes::{Buf as _, Bytes};
use rosn_base::{Buf, BufPool};
use rosn_h1::{BodyDecoder, BodyError, Method};
use rosn_http::wire::{BodyBuffer, Payload, WriteError};
use rosn_net::{PeerAddr, Stream};

use super::extended::Upgrade;
use super::{Data, Lender, Outgoing, head};

/// One stream, whichever side began it.
pub(crate) struct Http2Stream {
    sender: Sender,
    /// The response that is awaited.
    response: Option<ResponseFuture>,
    /// What the request asks the stream to become.
    upgrade: Option<Upgrade>,
    receiver: Option<RecvStream>,
    lender: Rc<Lender>,
    /// Content that did not fit into the buffer; its flow-control credit was not yet given back.
    unread: Bytes,
    /// Where the bytes of heads and content are counted, in both directions.
    content: Rc<Cell<u64>>,
}

/// This end's direction.
enum Sender {
    /// A response that has not begun.
    Response(SendResponse<Data>),
    /// A request that has not begun.
    Request(SendRequest<Data>, &'static str),
    /// The head was sent.
    Open(SendStream<Data>),
    /// Nothing can be sent.
    Gone,
}

/// What came of filling a buffer.
pub(crate) enum Filled {
    /// So many bytes; the decoder may have been told the end behind them.
    Bytes(usize),
    /// The decoder was told the end.
    End,
    /// The peer broke its own framing.
    Invalid(BodyError),
    /// The stream or its connection is gone.
    Gone(Option<io::Error>),
}

impl Http2Stream {
    /// A stream that a client began; its bytes are counted in `content`. `lender` is its connection's.
    pub(crate) fn accepted(
        respond: SendResponse<Data>,
        request: RecvStream,
        lender: Rc<Lender>,
        content: Rc<Cell<u64>>,
    ) -> Self {
        Self {
            sender: Sender::Response(respond),
            response: None,
            upgrade: None,
            receiver: Some(request),
            lender,
            unread: Bytes::new(),
            content,
        }
    }

    /// A stream that this end begins with the head of its request, whose `:scheme` is this. `sender` must be ready.
    pub(crate) fn requesting(
        sender: SendRequest<Data>,
        scheme: &'static str,
        lender: Rc<Lender>,
    ) -> Self {
        Self {
            sender: Sender::Request(sender, scheme),
            response: None,
            upgrade: None,
            receiver: None,
            lender,
            unread: Bytes::new(),
            content: Rc::default(),
        }
    }

    /// Writes as much of what is there as flow control lets; ready when all of it is written. With `end`, the payload
    /// in `body` is the last, and these trailers follow it.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Outgoing,
        body: &mut impl Payload,
        end: Option<&[u8]>,
    ) -> Poll<Result<(), WriteError>> {
        if !message.head.is_empty() {
            let is_all = end.is_some_and(<[u8]>::is_empty)
                && body.pending().is_empty()
                && !message.stays_open;
            if is_all {
                message.may_end(0).map_err(WriteError::Body)?;
            }
            self.send_head(&message.head, is_all).map_err(WriteError::Io)?;
            message.written += message.head.len() as u64;
            self.count(message.head.len());
            message.head.clear();
            message.ended = is_all;
        }
        while !message.ended {
            let pending = body.pending();
            match end {
                None if pending.is_empty() => return Poll::Ready(Ok(())),
                Some(_) if pending.is_empty() && message.stays_open => message.ended = true,
                Some(trailers) if pending.is_empty() => {
                    message.may_end(0).map_err(WriteError::Body)?;
                    self.send_end(trailers).map_err(WriteError::Io)?;
                    message.ended = true;
                }
                _ => {
                    let room = self.poll_room(cx, pending.len());
                    message.is_blocked = room.is_pending();
                    let count = ready!(room).map_err(WriteError::Io)?.min(pending.len());
                    let is_last = count == pending.len()
                        && end.is_some_and(<[u8]>::is_empty)
                        && !message.stays_open;
                    if is_last {
                        message.may_end(count).map_err(WriteError::Body)?;
                    }
                    message.take(count).map_err(WriteError::Body)?;
                    let pool = self.lender.pool();
                    let content = body.take(count, |buf| Bytes::from_owner(pool.lend(buf)));
                    let data = self.lender.data(content);
                    self.send_data(data, is_last).map_err(WriteError::Io)?;
                    self.count(count);
                    message.ended = is_last;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends an interim response, given as text.
    pub(crate) fn send_interim(&mut self, text: &[u8]) -> io::Result<()> {
        let Sender::Response(respond) = &mut self.sender else { return Err(gone()) };
        let response = head::response(text).ok_or_else(gone)?;
        respond.send_informational(response).map_err(other)
    }

    fn send_head(&mut self, text: &[u8], is_all: bool) -> io::Result<()> {
        match std::mem::replace(&mut self.sender, Sender::Gone) {
            Sender::Response(mut respond) => {
                let response = head::response(text).ok_or_else(invalid_head)?;
                self.sender = Sender::Open(respond.send_response(response, is_all).map_err(other)?);
            }
            Sender::Request(mut sender, scheme) => {
                let (request, upgrade) = head::request(text, scheme).ok_or_else(invalid_head)?;
                self.upgrade = upgrade;
                let (response, body) = sender.send_request(request, is_all).map_err(other)?;
                self.response = Some(response);
                self.sender = Sender::Open(body);
            }
            Sender::Open(_) | Sender::Gone => return Err(gone()),
        }
        Ok(())
    }

    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let Sender::Open(body) = &mut self.sender else { return Poll::Ready(Err(gone())) };
        body.reserve_capacity(wanted);
        loop {
            match body.capacity() {
                0 => {}
                room => return Poll::Ready(Ok(room)),
            }
            match ready!(body.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(other(error))),
                None => return Poll::Ready(Err(gone())),
            }
        }
    }

    fn send_data(&mut self, data: Data, is_last: bool) -> io::Result<()> {
        let Sender::Open(body) = &mut self.sender else { return Err(gone()) };
        body.send_data(data, is_last).map_err(other)
    }

    fn send_end(&mut self, trailers: &[u8]) -> io::Result<()> {
        let Sender::Open(body) = &mut self.sender else { return Err(gone()) };
        match trailers {
            [] => body.send_data(Bytes::new().into(), true),
            lines => body.send_trailers(head::trailers(lines)),
        }
        .map_err(other)
    }

    /// Reads content into `body` and tells `decoder` of it. The caller makes sure that there is room; storage is taken
    /// from `pool` where the body has none.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        pool: &BufPool,
        body: &mut BodyBuffer,
        decoder: &mut BodyDecoder,
    ) -> Poll<Filled> {
        if let Some(end) = ready!(self.poll_content(cx, decoder)) {
            return Poll::Ready(end);
        }
        let Some(receiver) = &mut self.receiver else { return Poll::Ready(Filled::Gone(None)) };
        let is_last = receiver.is_end_stream();
        let mut count = self.unread.len();
        // Not copied, it holds all that was read from the connection together with it: once for each stream is enough.
        if !(is_last && body.share(&mut self.unread)) {
            if body.is_released() {
                body.restore(pool.take());
            }
            count = body.push(&self.unread);
            self.unread.advance(count);
        }
        // It fails only where the stream is gone, which the next call says.
        let _ = receiver.flow_control().release_capacity(count);
        let is_end = self.unread.is_empty() && is_last;
        self.count(count);
        let told =
            decoder.take(count).and_then(|()| if is_end { decoder.end(b"") } else { Ok(()) });
        Poll::Ready(told.map_or_else(Filled::Invalid, |()| Filled::Bytes(count)))
    }

    /// Waits for content that is not read yet; says so where none comes any more.
    fn poll_content(
        &mut self,
        cx: &mut Context<'_>,
        decoder: &mut BodyDecoder,
    ) -> Poll<Option<Filled>> {
        let Some(receiver) = &mut self.receiver else {
            return Poll::Ready(Some(Filled::Gone(None)));
        };
        while self.unread.is_empty() {
            let trailers = if receiver.is_end_stream() {
                None
            } else {
                match ready!(receiver.poll_data(cx)) {
                    Some(Ok(data)) => {
                        self.unread = data;
                        continue;
                    }
                    Some(Err(error)) => return Poll::Ready(Some(Filled::Gone(Some(other(error))))),
                    None => {}
                }
                match ready!(receiver.poll_trailers(cx)) {
                    Ok(trailers) => trailers,
                    Err(error) => return Poll::Ready(Some(Filled::Gone(Some(other(error))))),
                }
            };
            let lines = trailers.map(|fields| head::fields_text(&fields)).unwrap_or_default();
            let ended = decoder.end(&lines).map_or_else(Filled::Invalid, |()| Filled::End);
            return Poll::Ready(Some(ended));
        }
        Poll::Ready(None)
    }

    /// Waits for the head of the response, final or interim, and appends it as text to what `into` gives.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: Method,
        into: impl FnOnce() -> Buf,
    ) -> Poll<io::Result<Buf>> {
        let Some(response) = &mut self.response else {
            return match self.sender {
                Sender::Request(..) => Poll::Pending,
                _ => Poll::Ready(Err(gone())),
            };
        };
        let head = match response.poll_informational(cx) {
            Poll::Ready(Some(Ok(interim))) => interim.into_parts().0,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(other(error))),
            Poll::Ready(None) | Poll::Pending => {
                let whole = ready!(std::pin::Pin::new(response).poll(cx)).map_err(other)?;
                let (head, body) = whole.into_parts();
                self.response = None;
                self.receiver = Some(body);
                head
            }
        };
        let mut text = into();
        match &self.upgrade {
            Some(upgrade) if head.status.is_success() => upgrade.granted_text(&head, &mut text),
            _ => head::response_text(&head, method, &mut text),
        }
        Poll::Ready(Ok(text))
    }

    /// Drops the interim responses that have come, and says how many they were: nobody takes them, and they are not
    /// bounded by flow control.
    pub(crate) fn skip_interim(&mut self, cx: &mut Context<'_>) -> u32 {
        let mut count = 0;
        if let Some(response) = &mut self.response {
            while let Poll::Ready(Some(Ok(_))) = response.poll_informational(cx) {
                count += 1;
            }
        }
        count
    }

    /// Counts bytes of use.
    fn count(&self, bytes: usize) {
        self.content.set(self.content.get().saturating_add(bytes as u64));
    }

    /// Drops what still comes, and gives no credit for more. Ready when nothing more can come.
    pub(crate) fn poll_drop_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(receiver) = &mut self.receiver else { return Poll::Ready(()) };
        while !receiver.is_end_stream() && matches!(ready!(receiver.poll_data(cx)), Some(Ok(_))) {}
        Poll::Ready(())
    }

    /// Whether the peer has ended its direction, and all of that was read.
    pub(crate) fn has_ended(&self) -> bool {
        let is_end = |receiver: &RecvStream| receiver.is_end_stream();
        self.unread.is_empty() && self.receiver.as_ref().is_some_and(is_end)
    }

    /// Whether the peer has reset the stream, or its connection is gone.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sender {
            Sender::Response(respond) => respond.poll_reset(cx).map(|_| ()),
            Sender::Open(body) => body.poll_reset(cx).map(|_| ()),
            Sender::Request(..) => Poll::Pending,
            Sender::Gone => Poll::Ready(()),
        }
    }

    /// Ends the stream at once with this reason.
    pub(crate) fn reset(&mut self, reason: Reason) {
        match &mut self.sender {
            Sender::Response(respond) => respond.send_reset(reason),
            Sender::Open(body) => body.send_reset(reason),
            Sender::Request(..) | Sender::Gone => {}
        }
    }

    /// The stream as a connection: what the peer sends as DATA are its bytes.
    pub(crate) fn into_tunnel(self, peer: PeerAddr, local: PeerAddr) -> Option<Stream> {
        let (Sender::Open(send), Some(receive)) = (self.sender, self.receiver) else { return None };
        Some(rosn_transport::http2_tunnel(send, receive, self.unread, peer, local))
    }
}

fn other(error: ::h2::Error) -> io::Error {
    match error.is_io() {
        true => error.into_io().unwrap_or_else(gone),
        false => io::Error::other(error),
    }
}

fn gone() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// Whether a head could not be sent since HTTP/2 has no words for it: the `http` crate takes fewer targets and hosts than
/// the parser of HTTP/1.1.
pub(crate) fn is_unsayable(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

/// See [`is_unsayable`]. What edits put into a head was checked with the configuration.
fn invalid_head() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the head cannot be said in HTTP/2")
}
