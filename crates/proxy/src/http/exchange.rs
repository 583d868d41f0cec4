//! One request and its response: route it, then answer, redirect or forward; log it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rosn_config::checked::{HttpProxy, ServerTiming};
use rosn_h1::{Framing, Method, RequestHead, Version};
use tracing::debug;

use super::failure::Flags;
use super::grpc::Call;
use super::headers::Fields;
use super::record::{Record, View};
use super::reply::Reply;
use super::tunnel::{self, Opening, Switched};
use super::{Connection, End, Next, Slot, forward, server_timing};
use crate::client::ClientInfo;
use crate::context::{Serving, Worker};
use crate::details;
use crate::snapshot::{Listener, Service};
use rosn_route::{Action, Input, NoRoute, Route, Table};

/// Time to write a response that rosn makes itself.
pub(super) const REPLY_TIMEOUT: u64 = 10_000_000_000;

/// Handles the request whose head is the first `len` bytes of the slot's inbound bytes.
pub(crate) async fn run(connection: &mut Connection, slot: &mut Slot, len: usize) -> Next {
    let worker = Rc::clone(&connection.worker);
    let present = connection.serving.refresh(&worker);
    let serving = connection.serving.clone();
    let listener = serving.listener();
    let stats = [worker.shared.stats.shard(worker.index), listener.stats.shard(worker.index)];
    for stats in stats {
        stats.request_total.add(1);
        stats.request_active.add(1);
    }
    let mut record =
        Record { start: worker.clock.now(), head_bytes: len as u64, ..Record::default() };
    record.id = worker.next_request();
    record.http2 = connection.client.is_http2();
    let keep = slot.head.keep_alive() && present && !worker.is_draining();
    let mut exchange = Exchange {
        connection,
        slot,
        len,
        record: &mut record,
        keep,
        body_was_read: false,
        switched: None,
    };
    let next = exchange.run(&serving).await;
    if let Some(switched) = exchange.switched.take() {
        let info = &connection.info;
        let opening = Opening::new(*switched, &worker, info, listener, slot, len, record);
        return Next::End(End::Tunnel(Box::new(opening)));
    }
    record.end = worker.clock.refresh();
    finish(connection, slot, len, &record, listener);
    slot.inbound.consume(len);
    slot.response_bytes.clear();
    next
}

/// Counts and logs an exchange that is over.
fn finish(connection: &Connection, slot: &Slot, len: usize, record: &Record, listener: &Listener) {
    let worker = &connection.worker;
    let took = record.end.saturating_sub(record.start);
    let waited = record.response_head.saturating_sub(record.request_sent);
    let own = if record.request_sent > 0 { took.saturating_sub(waited) } else { took };
    for stats in [&worker.shared.stats, &listener.stats] {
        let stats = stats.shard(worker.index);
        stats.request_active.add(-1);
        stats.request_time.record(took);
        stats.request_time_total.add(took);
        stats.process_time.record(own);
        stats.process_time_total.add(own);
        stats.count_status(record.status);
        if record.status == 499 {
            stats.request_reset.add(1);
        } else if !record.flags.is_empty() {
            stats.request_failed.add(1);
        }
    }
    if let (Some(call), Some(metrics)) = (&record.grpc, &listener.grpc) {
        let path = slot.head.path(&slot.inbound.unread()[..len]);
        metrics.count(worker.index, path, call, took);
    }
    if !listener.access_logs.is_empty() {
        log(worker, &connection.info, slot, len, record, listener);
    }
}

/// Writes the access logs of an exchange that is over.
pub(super) fn log(
    worker: &Worker,
    info: &ClientInfo,
    slot: &Slot,
    len: usize,
    record: &Record,
    listener: &Listener,
) {
    let head = (len > 0).then(|| (&slot.head, &slot.inbound.unread()[..len]));
    let response = (!slot.response_bytes.is_empty())
        .then(|| Fields { bytes: &slot.response_bytes, fields: slot.response.fields() });
    let view = View {
        record,
        info,
        listener: &listener.config,
        started: worker.clock.wall(record.start),
        now: record.end,
        request: head,
        response,
        path: &slot.path,
    };
    for log in &listener.access_logs {
        log.write(worker.index, &view);
    }
}

/// Answers what could not be read as a request, and closes.
pub(crate) async fn refuse(connection: &mut Connection, status: u16, reason: &str) -> End {
    let worker = Rc::clone(&connection.worker);
    let now = worker.clock.refresh();
    let body = format!("{reason}\n");
    let reply = Reply { status, body: body.as_bytes(), field: None, extra: b"" };
    let mut out = Vec::new();
    worker.date.with(worker.clock.wall(now), |date| {
        reply.encode(Version::Http11, false, false, date, &mut out);
    });
    for stats in [&worker.shared.stats, &connection.serving.listener().stats] {
        let stats = stats.shard(worker.index);
        stats.request_total.add(1);
        stats.request_active.add(1);
    }
    let mut record = Record { start: now, status, end: now, ..Record::default() };
    record.flags.insert(Flags::DOWNSTREAM_PROTOCOL);
    record.failure = Some(reason.to_owned());
    record.details =
        if status == 408 { details::REQUEST_HEAD_TIMEOUT } else { details::REQUEST_HEAD_INVALID };
    debug!(peer = %connection.info.peer, status, details = record.details, "{reason}");
    (record.id, record.own) = (worker.next_request(), true);
    if connection.write_message(&out, false, REPLY_TIMEOUT).await.is_ok() {
        record.bytes_sent = body.len() as u64;
    }
    let slot = Slot::new(0);
    let listener = Arc::clone(connection.serving.listener());
    finish(connection, &slot, 0, &record, &listener);
    End::Linger
}

/// A request on its way.
pub(crate) struct Exchange<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) slot: &'a mut Slot,
    /// The length of the request's head.
    pub(crate) len: usize,
    pub(crate) record: &'a mut Record,
    /// Whether the connection may serve another request.
    pub(crate) keep: bool,
    /// Whether the request's body was read to its end.
    pub(crate) body_was_read: bool,
    /// The upstream has made the connection another one than HTTP.
    pub(super) switched: Option<Box<Switched>>,
}

impl Exchange<'_> {
    async fn run(&mut self, serving: &Serving) -> Next {
        let listener = &**serving.listener();
        let Service::Http { proxy, table, .. } = &listener.service else {
            return Next::End(End::Close);
        };
        self.record.server_timing = match proxy.server_timing {
            ServerTiming::Off => false,
            ServerTiming::On => true,
            ServerTiming::OnRequest => self.header("x-rosn-timing") == Some(b"1"),
        };
        if self.connection.client.is_http2() {
            let bytes = &self.slot.inbound.unread()[..self.len];
            self.record.grpc = Call::of(&self.slot.head, bytes, self.record.start);
        }
        // What follows may be meant for the other protocol: it is not read as requests, whatever comes of this.
        self.keep &= !tunnel::is_asked(&self.slot.head, self.request_bytes());
        if let (Framing::Length(length), Some(limit)) =
            (self.slot.head.framing(), proxy.max_body_bytes)
            && length > limit
        {
            self.record.details = details::REQUEST_BODY_TOO_LARGE;
            return self.reply(413, b"the request body is too large\n").await;
        }
        let route = match self.find_route(listener, proxy, table) {
            Ok(route) => route,
            // RFC 9110 section 15.5.6: it is known, and not allowed for this target. No method is.
            Err(NoRoute::Route) if self.slot.head.method() == Method::Connect => {
                self.record.details = details::CONNECT_NOT_ALLOWED;
                let why = b"CONNECT is not allowed here\n";
                return self.reply_with(405, why, Some(("Allow", b"")), None).await;
            }
            Err(NoRoute::VirtualHost | NoRoute::Route) => {
                self.record.flags.insert(Flags::NO_ROUTE);
                self.record.details = details::ROUTE_NOT_FOUND;
                return self.reply(404, b"no route matches the request\n").await;
            }
        };
        if !route.name().is_empty() {
            self.record.route = Some(Arc::clone(route.name()));
        }
        if route.require_tls() && !self.connection.info.is_secure(&listener.config) {
            return self.redirect_to_tls().await;
        }
        match route.action() {
            Action::Forward(forward) => {
                forward::run(self, serving, proxy, table, route, forward).await
            }
            Action::Direct(direct) if self.would_say_yes(direct.status) => {
                self.record.details = details::UPGRADE_NOT_ALLOWED;
                self.reply(403, tunnel::Refusal::Upgrade.public()).await
            }
            Action::Direct(direct) => {
                self.record.direct = true;
                self.reply_with(
                    direct.status,
                    direct.body.as_bytes(),
                    None,
                    Some((route, listener)),
                )
                .await
            }
            Action::Redirect(redirect) => {
                let mut location = std::mem::take(&mut self.slot.text);
                location.clear();
                let request = self.request_bytes();
                let head = &self.slot.head;
                let (host, path) = (head.authority(request), head.path_and_query(request));
                let scheme = self.connection.info.scheme(&listener.config);
                redirect.location(scheme, host, path, &mut location);
                let routed = Some((route, listener));
                let field = Some(("Location", &*location));
                let next = self.reply_with(redirect.status, b"", field, routed).await;
                self.slot.text = location;
                next
            }
        }
    }

    /// Calls `f` with what a route is chosen by.
    pub(crate) fn with_input<R>(&self, listener: &Listener, f: impl FnOnce(&Input<'_>) -> R) -> R {
        let request = self.request_bytes();
        let head = &self.slot.head;
        f(&Input {
            authority: head.authority(request),
            path: head.path(request),
            method: head.method_span().of(request),
            headers: &RequestFields { head, bytes: request },
            variables: &self.view(listener),
        })
    }

    /// The route of the request. CONNECT has no path, and only routes that let it through are its own.
    fn find_route<'t>(
        &self,
        listener: &Listener,
        proxy: &HttpProxy,
        table: &'t Table<usize>,
    ) -> Result<&'t Route<usize>, NoRoute> {
        self.with_input(listener, |input| match self.slot.head.method() {
            Method::Connect => {
                table.find_connect(input, |forward| forward.tunnel.connect(&proxy.tunnel).is_some())
            }
            _ => table.find(input),
        })
    }

    /// To an extended CONNECT a 2xx says yes, whoever says it (RFC 8441 section 5).
    fn would_say_yes(&self, status: u16) -> bool {
        (200..300).contains(&status)
            && self.connection.client.is_http2()
            && tunnel::is_asked(&self.slot.head, self.request_bytes())
    }

    async fn redirect_to_tls(&mut self) -> Next {
        if self.slot.head.method() == Method::Connect {
            self.record.details = details::TLS_REQUIRED;
            return self.reply(403, b"CONNECT is allowed over TLS only\n").await;
        }
        let mut location = b"https://".to_vec();
        let request = self.request_bytes();
        let host = self.slot.head.authority(request);
        location.extend_from_slice(host.strip_suffix(b":80").unwrap_or(host));
        location.extend_from_slice(self.slot.head.path_and_query(request));
        self.reply_with(301, b"", Some(("Location", &*location)), None).await
    }

    pub(crate) async fn reply(&mut self, status: u16, body: &[u8]) -> Next {
        self.reply_with(status, body, None, None).await
    }

    /// Sends a response of rosn's own, with a field of its own and the response headers of `routed`.
    async fn reply_with(
        &mut self,
        status: u16,
        body: &[u8],
        field: Option<(&str, &[u8])>,
        routed: Option<(&Route<usize>, &Listener)>,
    ) -> Next {
        self.record.status = status;
        self.record.own = true;
        if self.record.details.is_empty() {
            self.record.details = details::DIRECT_RESPONSE;
        }
        let unread = self.has_unread_body();
        let keep = self.keep && !unread;
        // Nothing more goes up, and `path` is still to be logged.
        let mut extra = std::mem::take(&mut self.slot.up.0);
        extra.clear();
        if let Some((route, listener)) = routed {
            self.encode_edits(route, listener, &mut extra);
        }
        let worker = &self.connection.worker;
        if self.record.server_timing {
            server_timing::encode(self.record, worker.clock.now(), &mut extra);
        }
        let mut out = std::mem::take(&mut self.slot.down.0);
        out.clear();
        let (version, head) = (self.slot.head.version(), self.slot.head.method() == Method::Head);
        // What the configuration says with a 2xx may be a call's.
        let call = self.record.grpc.as_mut().filter(|_| status >= 300);
        let without_body = head || call.is_some();
        worker.date.with(worker.clock.wall(worker.clock.now()), |date| match call {
            Some(call) => call.encode_reply(status, body, &extra, date, &mut out),
            None => {
                let reply = Reply { status, body, field, extra: &extra };
                reply.encode(version, keep, head, date, &mut out);
            }
        });
        let written = self.connection.write_message(&out, false, REPLY_TIMEOUT).await;
        if !without_body {
            self.record.bytes_sent = body.len() as u64;
        }
        out.clear();
        self.slot.down.0 = out;
        extra.clear();
        self.slot.up.0 = extra;
        match written {
            Err(_) => {
                self.record.flags.insert(Flags::DOWNSTREAM_RESET);
                Next::End(End::Close)
            }
            Ok(()) if keep => Next::KeepAlive,
            // A client that may have sent more would lose the reply by a close, which would be a reset.
            Ok(()) if unread || self.slot.head.keep_alive() || self.sent_more() => {
                Next::End(End::Linger)
            }
            Ok(()) => Next::End(End::Close),
        }
    }

    /// Appends the fields that a route adds to a response which has none yet.
    pub(super) fn encode_edits(
        &mut self,
        route: &Route<usize>,
        listener: &Listener,
        out: &mut Vec<u8>,
    ) {
        if route.response_edits().is_empty() {
            return;
        }
        let mut list = std::mem::take(&mut self.slot.list);
        list.load(&[]);
        let none = Fields { bytes: b"", fields: &[] };
        list.edit(none, route.response_edits(), &self.view(listener));
        list.encode(none, |_| false, out);
        self.slot.list = list;
    }

    /// Whether the request has a body that was not read.
    fn has_unread_body(&self) -> bool {
        !self.body_was_read
            && !matches!(self.slot.head.framing(), Framing::None | Framing::Length(0))
    }

    /// Whether bytes came behind the head.
    fn sent_more(&self) -> bool {
        self.slot.inbound.len() > self.len
    }

    /// The bytes of the request's head.
    pub(crate) fn request_bytes(&self) -> &[u8] {
        &self.slot.inbound.unread()[..self.len]
    }

    pub(crate) fn header(&self, lower_name: &str) -> Option<&[u8]> {
        self.slot.head.value(self.request_bytes(), lower_name)
    }

    /// A time in milliseconds that a header of the request gives.
    pub(crate) fn header_millis(&self, lower_name: &str) -> Option<Duration> {
        let value = std::str::from_utf8(self.header(lower_name)?).ok()?;
        value.parse().ok().map(Duration::from_millis)
    }

    pub(crate) fn view<'b>(&'b self, listener: &'b Listener) -> View<'b> {
        let worker = &self.connection.worker;
        View {
            record: self.record,
            info: &self.connection.info,
            listener: &listener.config,
            started: worker.clock.wall(self.record.start),
            now: worker.clock.now(),
            request: Some((&self.slot.head, self.request_bytes())),
            response: None,
            path: &self.slot.path,
        }
    }
}

/// Looks up request headers for the route table.
pub(crate) struct RequestFields<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) bytes: &'a [u8],
}

impl rosn_route::Headers for RequestFields<'_> {
    fn value(&self, lower_name: &str) -> Option<&[u8]> {
        self.head.value(self.bytes, lower_name)
    }
}
