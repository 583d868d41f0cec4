//! One attempt of a request: a connection, the request on it, and its response.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use http::header::UPGRADE;
use http::{HeaderMap, Method, Response, StatusCode};
use rosn_h1::{BodyDecoder, Framing};
use rosn_trace::{Cancelled, Event, GotConnInfo, Interest, TraceHandle};

use super::Inner;
use super::connection::Lease;
use super::exchange::{Exchange, Failure, Sent};
use super::head::Head;
use super::http2;
use super::incoming::Incoming;
use super::patience::Patience;
use super::pool::{Carrier, Got};
use super::retry::Lost;
use crate::body::Received;
use crate::connect::Target;
use crate::error::Kind;
use crate::field_values::members;
use crate::{Body, Error, Phase};

/// What is the same for all attempts of a request.
pub(super) struct Sending<'a> {
    pub(super) inner: &'a Inner,
    pub(super) target: &'a Target,
    pub(super) head: &'a Head,
    pub(super) trace: &'a TraceHandle,
}

impl Sending<'_> {
    /// A connection for an attempt; `probe` = one on which the request can be sent only once.
    pub(super) async fn connection(
        &self,
        attempt: u32,
        probe: bool,
        patience: &mut Patience,
    ) -> Result<Got, Error> {
        let Self { target, trace, .. } = self;
        let pool = &self.inner.pool;
        let authority = target.first_hop();
        trace.emit(Interest::POOL, || Event::GetConn { authority, attempt });
        let mut wanted = Wanted { trace, authority, is_settled: false };
        let deadline = patience.deadline();
        let mut waiting = loop {
            if let Some(got) = pool.take(target, probe) {
                wanted.settle(&Ok(&got));
                return Ok(got);
            }
            if let Some(waiting) = pool.wait(target, trace, deadline) {
                break waiting;
            }
        };
        let got = poll_fn(|cx| {
            let phase = if waiting.is_dialing() { Phase::Connect } else { Phase::Pool };
            if let Poll::Ready(error) = patience.poll(cx, phase) {
                return Poll::Ready(Err(error.at(Arc::clone(&target.authority))));
            }
            waiting.poll(cx)
        })
        .await;
        drop(waiting);
        wanted.settle(&got.as_ref());
        if let Err(error) = &got {
            trace.emit(Interest::RETRY, || Event::Failed { error });
        }
        got
    }

    /// Sends the request, and reads the head of the response.
    pub(super) async fn attempt(
        &self,
        got: Got,
        body: Body,
        patience: &mut Patience,
    ) -> Result<Response<Body>, Failure> {
        let authority = &self.target.authority;
        let settings = &self.inner.settings;
        let connection = match got.carrier {
            Carrier::Http1(_) if self.head.protocol().is_some() => {
                let what = "extended CONNECT needs HTTP/2 (RFC 8441)";
                let error = Error::of(Phase::Upgrade, Kind::Failed).what(what);
                let error = error.at(Arc::clone(authority));
                return Err(Failure { error, lost: Lost::Other, body: None });
            }
            Carrier::Http1(connection) => connection,
            Carrier::Http2(place) => {
                let (head, trace) = (self.head, self.trace);
                let started = http2::Exchange::start(place, head, body, settings, trace, patience);
                let mut exchange = started.await?;
                let response = poll_fn(|cx| exchange.poll_head(cx, patience)).await?;
                return exchange.respond(response, patience);
            }
        };
        let lease = Lease::new(connection, Arc::clone(&self.inner.pool), self.trace.clone());
        let mut exchange = Exchange::new(lease, self.head, body, settings, self.trace, authority);
        let len = poll_fn(|cx| exchange.poll_head(cx, patience)).await?;
        self.respond(exchange, len, patience).map_err(|error| {
            let error = error.at(Arc::clone(authority));
            Failure { error, lost: Lost::Other, body: None }
        })
    }

    /// The response whose head is the first `len` inbound bytes.
    fn respond(
        &self,
        mut exchange: Exchange<'_>,
        len: usize,
        patience: &mut Patience,
    ) -> Result<Response<Body>, Error> {
        let response = exchange.response(len)?;
        let framing = exchange.lease.head.framing();
        let reuse = exchange.reuse();
        let Exchange { mut lease, upload, sent, .. } = exchange;
        lease.inbound.consume(len);
        if self.is_switch(response.status()) {
            if !matches!(sent, Sent::Whole) {
                let what = "the server switched protocols before the request was sent";
                return Err(Error::of(Phase::Upgrade, Kind::Parse).what(what));
            }
            self.check_upgrade(response.status(), response.headers())?;
            let switched = lease.switch(Default::default());
            return Ok(response.map(|()| {
                switched
                    .map_or_else(Body::empty, |on| Body::received(Received::Switched(Box::new(on))))
            }));
        }
        let upload = match sent {
            Sent::No => Some(upload),
            Sent::Whole | Sent::Head | Sent::Failed(_) => {
                lease.out = upload.into_buffers();
                None
            }
        };
        let framing = if framing == Framing::None { Framing::Length(0) } else { framing };
        let decoder = BodyDecoder::new(framing, &self.inner.settings.limits);
        let patience = std::mem::take(patience);
        let authority = Arc::clone(&self.target.authority);
        let mut body = Incoming::new(lease, framing, decoder, reuse, patience, authority);
        body.settle(upload)?;
        Ok(response.map(|()| match body.whole() {
            Some(bytes) => Body::from(bytes),
            None => Body::received(Received::Body(Box::new(body))),
        }))
    }

    /// Whether the connection is no longer HTTP after a response of this status. A 101 that was not asked for is an
    /// ordinary response, after which the connection is closed.
    fn is_switch(&self, status: StatusCode) -> bool {
        (status == StatusCode::SWITCHING_PROTOCOLS && self.head.wants_upgrade)
            || (self.head.parts.method == Method::CONNECT && status.is_success())
    }

    /// RFC 9110 section 7.8: a server switches to nothing else than what it was offered.
    fn check_upgrade(&self, status: StatusCode, headers: &HeaderMap) -> Result<(), Error> {
        let offered = |protocol: &[u8]| {
            members(&self.head.parts.headers, &UPGRADE)
                .any(|own| own.eq_ignore_ascii_case(protocol))
        };
        if status != StatusCode::SWITCHING_PROTOCOLS || members(headers, &UPGRADE).all(offered) {
            return Ok(());
        }
        let what = "the server switched to a protocol that it was not offered";
        Err(Error::of(Phase::Upgrade, Kind::Parse).what(what))
    }
}

/// A connection is wanted. Says what came of it, also where the request is dropped.
struct Wanted<'a> {
    trace: &'a TraceHandle,
    authority: &'a str,
    is_settled: bool,
}

impl Wanted<'_> {
    fn settle(&mut self, got: &Result<&Got, &Error>) {
        self.is_settled = true;
        let authority = self.authority;
        match got {
            Err(error) => {
                let error = *error;
                self.trace.emit(Interest::POOL, || Event::GetConnFailed { authority, error });
            }
            Ok(got) if self.trace.wants(Interest::POOL) => {
                let info = info(got);
                self.trace.emit(Interest::POOL, || Event::GotConn(&info));
            }
            Ok(_) => {}
        }
    }
}

fn info(got: &Got) -> GotConnInfo<'_> {
    let (conn, dial, local, peer, requests_before, has_company) = match &got.carrier {
        Carrier::Http1(on) => (on.id, on.dial, &on.local, &on.peer, on.requests, false),
        Carrier::Http2(place) => {
            let on = &place.connection;
            (on.id, on.dial, &on.local, &on.peer, place.requests_before, place.has_company)
        }
    };
    GotConnInfo {
        conn,
        dial: Some(dial),
        local: local.as_ref(),
        peer: peer.as_ref(),
        reused: requests_before > 0 || has_company,
        was_idle: got.idle.is_some(),
        idle: got.idle.unwrap_or_default(),
        requests_before,
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            let authority = self.authority;
            let error = &Cancelled;
            self.trace.emit(Interest::POOL, || Event::GetConnFailed { authority, error });
        }
    }
}
