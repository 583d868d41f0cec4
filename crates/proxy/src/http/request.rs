//! The head of a request on its way to an endpoint.

use rosn_cluster::Endpoint;
use rosn_config::checked::HostRewrite;
use rosn_h1::{Framing, Method, Name, RequestHead, Version};

use super::client_cert::{self, Forwarded};
use super::exchange::Exchange;
use super::forward::Sending;
use super::headers::Fields;
use super::side::Writer;
use super::tunnel::Switch;
use crate::snapshot::Service;
use crate::upstream;

/// Encodes the head of the request for an endpoint. Made anew for each try, always from the head as the
/// client sent it, so that rewrites never compound.
pub(super) fn encode_request(
    exchange: &mut Exchange<'_>,
    sending: &Sending<'_>,
    up: &upstream::Connection,
) -> Writer {
    let (mut out, tail) = std::mem::take(&mut exchange.slot.up);
    let mut path = std::mem::take(&mut exchange.slot.path);
    let mut list = std::mem::take(&mut exchange.slot.list);
    path.clear();
    // Edits of the request see it as the client sent it.
    (exchange.record.path_rewritten, exchange.record.host) = (false, None);
    let request = exchange.request_bytes();
    let head = &exchange.slot.head;
    out.extend_from_slice(head.method_span().of(request));
    out.push(b' ');
    let (whole, rewritten) = match head.method() {
        Method::Connect => (head.target().of(request), false),
        _ => {
            let whole = head.path_and_query(request);
            (whole, sending.forward.rewrite_path(whole, &mut path))
        }
    };
    out.extend_from_slice(if rewritten { &path } else { whole });
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let host = host(exchange, sending, &up.endpoint);
    if let Some(host) = &host {
        out.extend_from_slice(b"Host: ");
        out.extend_from_slice(host);
        out.extend_from_slice(b"\r\n");
    }
    // What is left of the time of a call is said anew.
    let call = exchange.record.grpc.as_ref().filter(|call| call.has_deadline());
    let from = Fields { bytes: request, fields: head.fields() };
    let forwarded = forwarded(exchange, sending, from);
    if let Some(value) = &forwarded.value {
        out.extend_from_slice(b"x-forwarded-client-cert: ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    let skip = |name| match name {
        Name::Host => host.is_some(),
        Name::GrpcTimeout => call.is_some(),
        _ => client_cert::is_one(name) && !forwarded.keeps,
    };
    if !sending.route.request_edits().is_empty() {
        list.load(head.fields());
        if !forwarded.keeps {
            list.remove(from, Name::XForwardedClientCert.as_str().as_bytes());
        }
        let view = exchange.view(sending.listener);
        list.edit(from, sending.route.request_edits(), &view);
        list.encode(from, skip, &mut out);
    } else {
        from.encode(skip, &mut out);
    }
    if head.framing() == Framing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    // Connection is a field of HTTP/1.1; a stream of HTTP/2 gets the other alone.
    if matches!(sending.switch, Switch::None) && takes_trailers(head, request) {
        out.extend_from_slice(b"TE: trailers\r\nConnection: TE\r\n");
    }
    if let Some(call) = call {
        call.encode_timeout(exchange.connection.worker.clock.now(), &mut out);
    }
    sending.switch.encode(&mut out);
    out.extend_from_slice(b"\r\n");
    let framing = head.framing();
    exchange.slot.path = path;
    (exchange.record.path_rewritten, exchange.record.host) = (rewritten, host);
    exchange.slot.list = list;
    let stays_open = !matches!(sending.switch, Switch::None);
    up.side.writer(out, tail, framing, stays_open)
}

/// Whether the client says that it takes trailers, which are passed on to it: so the same is said for it, though TE is of
/// one hop (RFC 9110 section 10.1.4). Some servers send none otherwise, and those of gRPC insist on it.
fn takes_trailers(head: &RequestHead, request: &[u8]) -> bool {
    let mut said = head.fields().iter().filter(|field| field.id == Name::Te);
    head.version() == Version::Http11
        && said.any(|field| {
            let mut codings = rosn_h1::list(field.value.of(request));
            codings.any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
        })
}

/// What becomes of `x-forwarded-client-cert`.
fn forwarded(exchange: &Exchange<'_>, sending: &Sending<'_>, request: Fields<'_>) -> Forwarded {
    let listener = sending.listener;
    let Service::Http { proxy, .. } = &listener.service else { return Forwarded::default() };
    Forwarded::new(&proxy.client_cert, exchange.connection.info.tls.as_ref(), request)
}

/// The Host to send, where it is not the client's own field.
fn host(exchange: &Exchange<'_>, sending: &Sending<'_>, endpoint: &Endpoint) -> Option<Vec<u8>> {
    let request = exchange.request_bytes();
    let rewritten = match &sending.forward.host_rewrite {
        Some(HostRewrite::Literal(host)) => Some(host.as_bytes().to_vec()),
        Some(HostRewrite::Endpoint) if !endpoint.hostname().is_empty() => {
            Some(endpoint.hostname().as_bytes().to_vec())
        }
        Some(HostRewrite::Header(name)) => exchange.header(name).map(<[u8]>::to_vec),
        _ => None,
    };
    if rewritten.is_some() {
        return rewritten;
    }
    let head = &exchange.slot.head;
    if head.is_absolute_form() || head.method() == Method::Connect {
        return Some(head.authority(request).to_vec());
    }
    // HTTP/1.0 needs no Host, HTTP/1.1 does (RFC 9112 section 3.2).
    head.find(Name::Host).is_none().then(|| match endpoint.hostname() {
        "" => endpoint
            .addr()
            .as_ip()
            .map_or_else(|| b"localhost".to_vec(), |ip| ip.to_string().into()),
        name => name.as_bytes().to_vec(),
    })
}
