//! The head of a response on its way to the client.

use rosn_cluster::Permit;
use rosn_h1::{Framing, RequestHead, ResponseHead, Version};

use super::attempt::Respond;
use super::failure::Failure;
use super::forward::Sending;
use super::headers::{Fields, HeaderList};
use super::record::{Record, View};
use super::retry::may_retry;
use super::{grpc, reply, server_timing, tunnel};
use crate::client::ClientInfo;
use crate::context::Worker;
use crate::details;

/// Makes the head of the response for the client.
pub(super) struct Responder<'a> {
    pub(super) worker: &'a Worker,
    pub(super) sending: &'a Sending<'a>,
    pub(super) info: &'a ClientInfo,
    pub(super) head: &'a RequestHead,
    pub(super) list: &'a mut HeaderList,
    pub(super) path: &'a [u8],
    pub(super) response_bytes: &'a mut Vec<u8>,
    pub(super) record: &'a mut Record,
    pub(super) len: usize,
    /// When the try began to send.
    pub(super) begin: u64,
    /// Whether the client's connection stays open.
    pub(super) keep: bool,
    pub(super) can_retry: bool,
    pub(super) permit: &'a mut Option<Permit>,
}

impl Respond for Responder<'_> {
    fn refuses(
        &mut self,
        response: &ResponseHead,
        bytes: &[u8],
        can_replay: bool,
    ) -> Option<Failure> {
        let retry = self.sending.forward.retry.as_ref()?;
        let status = response.status();
        let by_status = retry.on_status(status) && (self.sending.idempotent || retry.names(status));
        let by_grpc = self.record.grpc.as_ref().and_then(|_| {
            let status = grpc::status_of(Fields { bytes, fields: response.fields() });
            status.filter(|status| retry.on_grpc_status(*status))
        });
        let failure = match by_grpc {
            Some(status) => Failure::GrpcStatus(status),
            None if by_status => Failure::Status(status),
            None => return None,
        };
        let may = can_replay
            && self.can_retry
            && may_retry(self.permit, self.sending, &mut self.record.flags);
        may.then_some(failure)
    }

    fn ended(&mut self, trailers: &[u8]) {
        if let Some(call) = &mut self.record.grpc {
            call.note_trailers(trailers);
        }
    }

    fn began(&mut self, sent: u64, at: u64) {
        self.record.response_began(self.begin, sent, at);
        if let Some(nanos) = self.record.phases.first_byte.value() {
            self.sending.upstream.stats().first_byte_time.record(nanos);
        }
    }

    fn encode(
        &mut self,
        response: &ResponseHead,
        bytes: &[u8],
        request: &[u8],
        request_done: bool,
        out: &mut Vec<u8>,
    ) -> Framing {
        self.record.status = response.status();
        self.record.details = details::VIA_UPSTREAM;
        let sending = self.sending;
        let from = Fields { bytes, fields: response.fields() };
        if let Some(call) = &mut self.record.grpc {
            call.note(from);
        }
        if !sending.listener.access_logs.is_empty() {
            self.response_bytes.clear();
            self.response_bytes.extend_from_slice(bytes);
        }
        // What an HTTP/1.0 client reads ends with its length or with the connection.
        let framing = match (response.framing(), sending.version) {
            (Framing::Chunked | Framing::UntilClose, Version::Http10) => Framing::UntilClose,
            (Framing::UntilClose, Version::Http11) => Framing::Chunked,
            (framing, _) => framing,
        };
        self.keep &= request_done && framing != Framing::UntilClose && !self.worker.is_draining();
        reply::status_line(response.status(), response.reason().of(bytes), out);
        if !sending.route.response_edits().is_empty() {
            let view = View {
                record: self.record,
                info: self.info,
                listener: &sending.listener.config,
                started: self.worker.clock.wall(self.record.start),
                now: self.worker.clock.now(),
                request: Some((self.head, &request[..self.len])),
                response: Some(from),
                path: self.path,
            };
            self.list.load(response.fields());
            self.list.edit(from, sending.route.response_edits(), &view);
            self.list.encode(from, |_| false, out);
        } else {
            from.encode(|_| false, out);
        }
        if self.record.server_timing {
            server_timing::encode(self.record, self.worker.clock.now(), out);
        }
        if let Some(cookie) = &sending.set_cookie {
            out.extend_from_slice(b"Set-Cookie: ");
            out.extend_from_slice(cookie.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if framing == Framing::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if !sending.switch.is_made_by(response.status()) {
            reply::connection(sending.version, self.keep, out);
        }
        tunnel::encode_upgrade(response, bytes, out);
        out.extend_from_slice(b"\r\n");
        framing
    }
}
