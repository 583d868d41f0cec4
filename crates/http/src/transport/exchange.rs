//! One attempt of a request on a connection: up to the head of its response.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Method as HttpMethod, Response, StatusCode};
use rosn_h1::{Method, Progress};
use rosn_trace::{Event, Interest, NotReused, TraceHandle};

use super::builder::Settings;
use super::connection::Lease;
use super::fields::fields;
use super::head::Head;
use super::patience::{Patience, Timer};
use super::retry::Lost;
use super::upload::{Broken, Upload};
use crate::error::Kind;
use crate::wire::poll_read;
use crate::{Body, Error, Phase};

/// How long to wait for a response after the request could not be sent whole: a server that refuses a request answers
/// and closes, and the answer is worth more than the error of writing.
const AFTER_WRITE_ERROR: Duration = Duration::from_secs(1);

/// A request on a connection.
pub(super) struct Exchange<'a> {
    pub(super) lease: Lease,
    pub(super) upload: Upload,
    pub(super) sent: Sent,
    pub(super) settings: &'a Settings,
    pub(super) head: &'a Head,
    pub(super) trace: &'a TraceHandle,
    authority: &'a Arc<str>,
    method: Method,
    expect_timer: Timer,
    head_timer: Timer,
    answered: bool,
    informational: usize,
}

/// How far the request has been sent.
#[derive(Debug)]
pub(super) enum Sent {
    No,
    Whole,
    /// All but the body, which the server did not want.
    Head,
    Failed(io::Error),
}

/// An attempt that failed.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) lost: Lost,
    /// The request's body, where nothing was taken of it.
    pub(super) body: Option<Body>,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        mut lease: Lease,
        head: &'a Head,
        body: Body,
        settings: &'a Settings,
        trace: &'a TraceHandle,
        authority: &'a Arc<str>,
    ) -> Self {
        let (mut out, tail) = std::mem::take(&mut lease.out);
        head.encode(&lease, trace, &mut out);
        trace.emit(Interest::WRITE, || Event::WroteHeaders);
        let hold = head.expects_continue;
        let upload = Upload::new((out, tail), head.framing, body, hold, trace.clone());
        lease.head.reset();
        let method = match head.parts.method {
            HttpMethod::HEAD => Method::Head,
            HttpMethod::CONNECT => Method::Connect,
            _ => Method::Other,
        };
        Self {
            lease,
            upload,
            sent: Sent::No,
            settings,
            head,
            trace,
            authority,
            method,
            expect_timer: Timer::default(),
            head_timer: Timer::default(),
            answered: false,
            informational: 0,
        }
    }

    /// Sends the request and reads the head of its response: its length.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        patience: &mut Patience,
    ) -> Poll<Result<usize, Failure>> {
        loop {
            if let Poll::Ready(error) = patience.poll(cx, self.phase()) {
                return Poll::Ready(Err(self.fail(error, Lost::Other)));
            }
            self.poll_upload(cx)?;
            match self.poll_response(cx)? {
                Poll::Ready(Some(len)) => return Poll::Ready(Ok(len)),
                Poll::Ready(None) => continue, // an interim one, which may release the body
                Poll::Pending => {}
            }
            if self.upload.is_waiting_for_100() && self.expect_timer.poll(cx).is_ready() {
                self.upload.release();
                continue;
            }
            ready!(self.head_timer.poll(cx));
            return Poll::Ready(Err(self.late()));
        }
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if !matches!(self.sent, Sent::No) {
            return Ok(());
        }
        let waited = self.upload.is_waiting_for_100();
        let stream = &mut self.lease.stream;
        let polled = self
            .upload
            .poll(cx, |writer, cx, chunk, end| writer.poll_write(cx, stream, chunk, end));
        match polled {
            Poll::Pending => {
                if !waited && self.upload.is_waiting_for_100() {
                    self.expect_timer.set(self.settings.expect_continue_timeout);
                }
                Ok(())
            }
            Poll::Ready(Ok(())) => {
                self.sent = Sent::Whole;
                self.head_timer.set(self.settings.response_head_timeout);
                Ok(())
            }
            Poll::Ready(Err(Broken::Io(error))) => {
                self.upload.fail(&error);
                self.sent = Sent::Failed(error);
                self.head_timer.set(Some(AFTER_WRITE_ERROR));
                Ok(())
            }
            Poll::Ready(Err(Broken::Body(error))) => {
                Err(self.fail(error.in_phase(Phase::Write).kind(Kind::Source), Lost::Other))
            }
            Poll::Ready(Err(Broken::Length(error))) => {
                let error = Error::of(Phase::Write, Kind::Source).because(error);
                Err(self.fail(error, Lost::Other))
            }
        }
    }

    /// The length of the final head; `None` after an interim one.
    fn poll_response(&mut self, cx: &mut Context<'_>) -> Result<Poll<Option<usize>>, Failure> {
        loop {
            if !self.lease.inbound.is_empty()
                && let Some(len) = self.parse()?
            {
                if !self.lease.head.is_interim() {
                    return Ok(Poll::Ready(Some(len)));
                }
                self.interim(len)?;
                return Ok(Poll::Ready(None));
            }
            let connection = &mut *self.lease;
            if connection.inbound.room().is_empty() {
                connection.inbound.compact();
                if connection.inbound.room().is_empty() {
                    connection.inbound.grow(connection.inbound.capacity() * 2);
                }
            }
            match poll_read(cx, &mut connection.stream, &mut connection.inbound) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(0)) => return Err(self.lost(None)),
                Poll::Ready(Ok(_)) if self.answered => {}
                Poll::Ready(Ok(_)) => {
                    self.answered = true;
                    self.trace.emit(Interest::READ, || Event::FirstResponseByte);
                }
                Poll::Ready(Err(error)) => return Err(self.lost(Some(error))),
            }
        }
    }

    /// The length of a head that is all there.
    fn parse(&mut self) -> Result<Option<usize>, Failure> {
        let connection = &mut *self.lease;
        let bytes = connection.inbound.unread();
        match connection.head.parse(bytes, &self.settings.limits, self.method) {
            Ok(Progress::Partial) => Ok(None),
            Ok(Progress::Complete(len)) => Ok(Some(len)),
            Err(error) => {
                use rosn_h1::{FieldError, ResponseError};
                let kind = match error {
                    ResponseError::Field(FieldError::TooLarge | FieldError::TooMany) => {
                        Kind::TooLarge
                    }
                    _ => Kind::Parse,
                };
                let what = error.reason();
                let error = Error::of(Phase::Head, kind).what(what).because(error);
                Err(self.fail(error, Lost::Other))
            }
        }
    }

    /// Deals with an interim response, RFC 9110 section 15.2.
    fn interim(&mut self, len: usize) -> Result<(), Failure> {
        let broken = |error: Error| Failure { error, lost: Lost::Other, body: None };
        self.informational += 1;
        if self.informational > self.settings.informational {
            let what = "more interim responses than allowed";
            let error = Error::of(Phase::Head, Kind::TooLarge).what(what);
            return Err(self.fail(error, Lost::Other));
        }
        let status = self.status().map_err(broken)?;
        if status == StatusCode::CONTINUE && self.head.expects_continue {
            self.trace.emit(Interest::WRITE, || Event::Got100);
        }
        if self.trace.wants(Interest::INFORMATIONAL) {
            let headers = fields(&self.lease, len).map_err(broken)?;
            if let Err(veto) = self.trace.informational(status, &headers) {
                let error = Error::of(Phase::Head, Kind::Vetoed).because(veto);
                return Err(self.fail(error, Lost::Other));
            }
        }
        if status == StatusCode::CONTINUE {
            self.upload.release();
        }
        self.lease.inbound.consume(len);
        self.lease.head.reset();
        Ok(())
    }

    fn status(&self) -> Result<StatusCode, Error> {
        StatusCode::from_u16(self.lease.head.status())
            .map_err(|error| Error::of(Phase::Head, Kind::Parse).because(error))
    }

    /// The response's head, without its body; `len` is what [`Exchange::poll_head`] said.
    pub(super) fn response(&mut self, len: usize) -> Result<Response<()>, Error> {
        let status = self.status()?;
        self.trace.emit(Interest::READ, || Event::ResponseHead { status });
        if matches!(self.sent, Sent::No) && self.upload.is_held() {
            self.upload.withhold();
            self.sent = Sent::Head;
        }
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.version_mut() = match self.lease.head.version() {
            rosn_h1::Version::Http10 => http::Version::HTTP_10,
            rosn_h1::Version::Http11 => http::Version::HTTP_11,
        };
        *response.headers_mut() = fields(&self.lease, len)?;
        Ok(response)
    }

    /// Whether the connection may serve another request after this response.
    pub(super) fn reuse(&self) -> Result<(), NotReused> {
        let head = &self.lease.head;
        match self.sent {
            // The server may still wait for the body, and take the next request for it. Go keeps the connection.
            Sent::Failed(_) | Sent::Head => Err(NotReused::WriteUnfinished),
            _ if self.head.closes && !self.settings.keep_alives => {
                Err(NotReused::KeepAliveDisabled)
            }
            _ if self.head.closes => Err(NotReused::RequestAskedClose),
            _ if head.framing() == rosn_h1::Framing::UntilClose => Err(NotReused::BodyUnframed),
            _ if !head.keep_alive() => Err(NotReused::PeerAskedClose),
            Sent::Whole | Sent::No => Ok(()),
        }
    }

    fn phase(&self) -> Phase {
        match self.sent {
            _ if self.answered => Phase::Head,
            Sent::No => Phase::Write,
            _ => Phase::Wait,
        }
    }

    /// The connection has ended before the response was there.
    fn lost(&mut self, error: Option<io::Error>) -> Failure {
        let lost = match (self.answered, self.upload.written()) {
            (true, _) => Lost::Other,
            (false, 0) => Lost::Unwritten,
            (false, _) => Lost::Unanswered,
        };
        let failed = match std::mem::replace(&mut self.sent, Sent::No) {
            Sent::Failed(write) => Error::new(Phase::Write, write),
            sent => {
                self.sent = sent;
                let phase = if self.answered { Phase::Head } else { Phase::Wait };
                match error {
                    Some(error) => Error::new(phase, error),
                    None => Error::of(phase, Kind::ClosedEarly),
                }
            }
        };
        self.fail(failed, lost)
    }

    /// The time for the head of the response is over.
    fn late(&mut self) -> Failure {
        if let Sent::Failed(_) = self.sent {
            return self.lost(None);
        }
        let error = Error::of(self.phase(), Kind::Timeout).what("the response took too long");
        self.fail(error, Lost::Other)
    }

    fn fail(&mut self, error: Error, lost: Lost) -> Failure {
        if matches!(self.sent, Sent::No) {
            self.upload.fail(&error);
        }
        let error = error.at(Arc::clone(self.authority)).peer(self.lease.peer.as_ref());
        Failure { error, lost, body: None }
    }
}
