//! One attempt of a request on a stream: up to the head of its response.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Response, StatusCode};
use rosn_net::Stream;
use rosn_trace::{Event, Interest, NotReused, TraceHandle};

use super::super::builder::Settings;
use super::super::connection::Switched;
use super::super::exchange::Failure;
use super::super::head::Head;
use super::super::patience::{Patience, Timer};
use super::super::retry::Lost;
use super::connection::{Multiplexed, Place};
use super::head::report;
use super::response::ResponseBody;
use super::upload::Upload;
use crate::body::Received;
use crate::error::Kind;
use crate::http2::{Tunnel, failed};
use crate::{Body, Error, Phase};

/// A request on a stream.
pub(in crate::transport) struct Exchange<'a> {
    place: Place,
    upload: Upload,
    /// The sending side of a CONNECT request.
    tunnel: Option<SendStream<Bytes>>,
    sent: Sent,
    response: ResponseFuture,
    settings: &'a Settings,
    head: &'a Head,
    trace: &'a TraceHandle,
    expect_timer: Timer,
    head_timer: Timer,
    answered: bool,
    informational: usize,
}

/// How far the request has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    No,
    /// Whole, or as far as the server wants it.
    All,
}

impl<'a> Exchange<'a> {
    /// Sends the head of the request.
    pub(in crate::transport) async fn start(
        mut place: Place,
        head: &'a Head,
        body: Body,
        settings: &'a Settings,
        trace: &'a TraceHandle,
        patience: &mut Patience,
    ) -> Result<Self, Failure> {
        place.trace = trace.clone();
        let connection = &place.connection;
        if head.closes {
            connection.close(NotReused::RequestAskedClose);
        }
        let target = &connection.target;
        let finally = |error| Failure { error, lost: Lost::Other, body: None };
        if head.protocol().is_some() {
            let offered = offers_extended_connect(connection, patience).await;
            offered.map_err(|error| finally(error.at(Arc::clone(&target.authority))))?;
        }
        let request = head.for_http2(target).map_err(finally)?;
        let is_connect = head.parts.method == Method::CONNECT;
        let ends = !is_connect && http_body::Body::is_end_stream(&body);
        report(&request, trace);
        let mut sender = connection.sender.clone();
        let (response, stream) = match sender.send_request(request, ends) {
            Ok(streams) => streams,
            Err(error) => return Err(unsent(&place.connection, error, body)),
        };
        trace.emit(Interest::WRITE, || Event::WroteHeaders);
        let (stream, tunnel) = if is_connect { (None, Some(stream)) } else { (Some(stream), None) };
        let stream = stream.filter(|_| !ends);
        let held = head.expects_continue && stream.is_some();
        let upload = Upload::new(stream, body, head.announced(), held, trace.clone());
        let mut expect_timer = Timer::default();
        if held {
            trace.emit(Interest::WRITE, || Event::Wait100);
            expect_timer.set(settings.expect_continue_timeout);
        }
        Ok(Self {
            place,
            upload,
            tunnel,
            sent: Sent::No,
            response,
            settings,
            head,
            trace,
            expect_timer,
            head_timer: Timer::default(),
            answered: false,
            informational: 0,
        })
    }

    /// Sends the request, and reads the head of the response.
    pub(in crate::transport) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        patience: &mut Patience,
    ) -> Poll<Result<Response<RecvStream>, Failure>> {
        loop {
            if let Poll::Ready(error) = patience.poll(cx, self.phase()) {
                return Poll::Ready(Err(self.fail(error, Lost::Other)));
            }
            self.poll_upload(cx)?;
            match self.poll_response(cx)? {
                Poll::Ready(Some(response)) => return Poll::Ready(Ok(response)),
                Poll::Ready(None) => continue, // an interim one, which may release the body
                Poll::Pending => {}
            }
            if self.upload.is_held() && self.expect_timer.poll(cx).is_ready() {
                self.upload.release();
                continue;
            }
            ready!(self.head_timer.poll(cx));
            let error = Error::of(self.phase(), Kind::Timeout).what("the response took too long");
            return Poll::Ready(Err(self.fail(error, Lost::Other)));
        }
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if self.sent == Sent::All {
            return Ok(());
        }
        match self.upload.poll(cx) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(())) => self.head_timer.set(self.settings.response_head_timeout),
            Poll::Ready(Err(broken)) => {
                if let Some(error) = self.upload.stopped(broken, Phase::Write) {
                    return Err(self.fail(error, Lost::Other));
                }
            }
        }
        self.sent = Sent::All;
        Ok(())
    }

    /// The final head; `None` after an interim one.
    fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Result<Poll<Option<Response<RecvStream>>>, Failure> {
        match self.response.poll_informational(cx) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(Some(Ok(interim))) => {
                self.first_byte();
                self.interim(&interim)?;
                return Ok(Poll::Ready(None));
            }
            Poll::Ready(Some(Err(error))) => return Err(self.lost(error)),
            Poll::Ready(None) => {}
        }
        match Pin::new(&mut self.response).poll(cx) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Err(error)) => Err(self.lost(error)),
            Poll::Ready(Ok(response)) => {
                self.first_byte();
                Ok(Poll::Ready(Some(response)))
            }
        }
    }

    fn first_byte(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.trace.emit(Interest::READ, || Event::FirstResponseByte);
        }
    }

    /// Deals with an interim response, RFC 9110 section 15.2.
    fn interim(&mut self, interim: &Response<()>) -> Result<(), Failure> {
        self.informational += 1;
        if self.informational > self.settings.informational {
            let what = "more interim responses than allowed";
            let error = Error::of(Phase::Head, Kind::TooLarge).what(what);
            return Err(self.fail(error, Lost::Other));
        }
        let status = interim.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let what = "HTTP/2 has no 101 (RFC 9113 section 8.6)";
            return Err(self.fail(Error::of(Phase::Head, Kind::Parse).what(what), Lost::Other));
        }
        self.check_fields(interim.headers().len())?;
        if let Err(veto) = self.trace.informational(status, interim.headers()) {
            let error = Error::of(Phase::Head, Kind::Vetoed).because(veto);
            return Err(self.fail(error, Lost::Other));
        }
        if status == StatusCode::CONTINUE {
            if self.head.expects_continue {
                self.trace.emit(Interest::WRITE, || Event::Got100);
            }
            self.upload.release();
        }
        Ok(())
    }

    fn check_fields(&mut self, fields: usize) -> Result<(), Failure> {
        if fields <= self.settings.limits.fields {
            return Ok(());
        }
        let error = Error::of(Phase::Head, Kind::TooLarge).what("more fields than allowed");
        Err(self.fail(error, Lost::Other))
    }

    /// The response whose head is there.
    pub(in crate::transport) fn respond(
        mut self,
        response: Response<RecvStream>,
        patience: &mut Patience,
    ) -> Result<Response<Body>, Failure> {
        let status = response.status();
        self.trace.emit(Interest::READ, || Event::ResponseHead { status });
        self.check_fields(response.headers().len())?;
        let (parts, stream) = response.into_parts();
        if let Some(mut send) = self.tunnel.take() {
            if status.is_success() {
                let body = self.switch(send, stream);
                return Ok(Response::from_parts(parts, body));
            }
            // There is no tunnel, and so nothing to say. A fault here is one of the response, too.
            let _ = send.send_data(Bytes::new(), true);
        }
        if self.upload.is_held() {
            self.upload.withhold();
        }
        let Self { place, upload, .. } = self;
        let patience = std::mem::take(patience);
        let body = ResponseBody::new(stream, &parts.headers, place, upload, patience);
        Ok(Response::from_parts(parts, body.into_body()))
    }

    /// The stream is no longer HTTP.
    fn switch(self, send: SendStream<Bytes>, receive: RecvStream) -> Body {
        let Self { place, trace, .. } = self;
        let conn = place.connection.id;
        trace.emit(Interest::READ, || Event::Upgraded { conn });
        let ends = place.connection.ends.clone();
        let stream = Stream::boxed(Tunnel::new(send, receive, ends, place));
        Body::received(Received::Switched(Box::new(Switched { stream, read: Bytes::new() })))
    }

    fn phase(&self) -> Phase {
        match self.sent {
            _ if self.answered => Phase::Head,
            Sent::No => Phase::Write,
            Sent::All => Phase::Wait,
        }
    }

    /// The stream has ended before the response was there.
    fn lost(&mut self, error: h2::Error) -> Failure {
        let reason = error.reason().filter(|_| error.is_remote());
        // Go takes a connection that is refused with its first request for one that will always be.
        let is_first = self.response.stream_id().as_u32() == 1;
        let lost = match reason {
            _ if self.answered => Lost::Other,
            Some(reason) if error.is_go_away() => match is_first && reason != Reason::NO_ERROR {
                true => Lost::Other,
                false => Lost::Refused,
            },
            Some(Reason::REFUSED_STREAM) => Lost::Refused,
            // What servers say that forget a connection that they have asked to go away (golang/go#42777).
            Some(Reason::PROTOCOL_ERROR) => Lost::Unanswered,
            None if error.is_io() && !self.place.connection.is_dead() => Lost::Unanswered,
            _ => Lost::Other,
        };
        let error = self.place.connection.error(self.phase(), error);
        self.fail(error, lost)
    }

    fn fail(&mut self, error: Error, lost: Lost) -> Failure {
        self.upload.fail(&error);
        let connection = &self.place.connection;
        let authority = Arc::clone(&connection.target.authority);
        let error = error.at(authority).peer(connection.peer.as_ref());
        Failure { error, lost, body: None }
    }
}

impl Multiplexed {
    /// The error of a request whose stream has failed.
    pub(super) fn error(&self, phase: Phase, error: h2::Error) -> Error {
        if error.is_io() && self.is_dead() {
            return Error::of(phase, Kind::Timeout).what("the server does not answer a ping");
        }
        failed(phase, error)
    }
}

/// No stream could be opened. Where that is because the connection takes no more, nothing has happened to the request.
fn unsent(connection: &Multiplexed, error: h2::Error, body: Body) -> Failure {
    let error = match connection.closing() {
        Some(_) => {
            let error = connection.error(Phase::Write, error);
            return Failure { error, lost: Lost::Refused, body: Some(body) };
        }
        None => Error::of(Phase::Request, Kind::Failed).because(error),
    };
    let error = error.at(Arc::clone(&connection.target.authority));
    Failure { error, lost: Lost::Other, body: None }
}

/// Waits for the server's settings where they are not known yet.
async fn offers_extended_connect(
    connection: &Multiplexed,
    patience: &mut Patience,
) -> Result<(), Error> {
    let is_offered = || connection.sender.is_extended_connect_protocol_enabled();
    let mut settled = connection.life.settled.subscribe();
    if !is_offered() && !*settled.borrow() {
        connection.life.asked.notify_one();
        let mut known = pin!(settled.wait_for(|settled| *settled));
        poll_fn(|cx| {
            if let Poll::Ready(error) = patience.poll(cx, Phase::Upgrade) {
                return Poll::Ready(Err(error));
            }
            known.as_mut().poll(cx).map(|_| Ok(()))
        })
        .await?;
    }
    if is_offered() {
        return Ok(());
    }
    let what = "the server does not offer extended CONNECT (RFC 8441)";
    Err(Error::of(Phase::Upgrade, Kind::Failed).what(what))
}
