//! What is known about one exchange: it answers for the variables and fills the access log.

mod tls;

use std::fmt;
use std::io::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rosn_cluster::Endpoint;
use rosn_config::checked::{self, Protocol};
use rosn_config::{Variable, Variables};
use rosn_h1::RequestHead;
use rosn_net::PeerAddr;

use super::failure::Flags;
use super::grpc::Call;
use super::headers::Fields;
use crate::client::ClientInfo;
use crate::upstream::{Phases, Took, Upstream};

/// Tries whose addresses are kept, the last one not counted.
const EARLIER: usize = 7;

/// What happened, so far.
#[derive(Default)]
pub(crate) struct Record {
    /// The client speaks HTTP/2.
    pub(crate) http2: bool,
    /// Which request it is; 0 where nothing asks for it.
    pub(crate) id: u64,
    /// When the head of the request was there. All times are nanoseconds of the worker's clock.
    pub(crate) start: u64,
    /// When the whole request had been sent on; 0 = not yet.
    pub(crate) request_sent: u64,
    /// When the head of the response came; 0 = not yet.
    pub(crate) response_head: u64,
    /// When the exchange was over; 0 = not yet.
    pub(crate) end: u64,
    /// 0 = none yet.
    pub(crate) status: u16,
    pub(crate) flags: Flags,
    /// Bytes of the request's head.
    pub(crate) head_bytes: u64,
    /// Bytes of the request's body, without its framing.
    pub(crate) bytes_received: u64,
    /// Bytes of the response's body, without its framing.
    pub(crate) bytes_sent: u64,
    /// The one of the last try.
    pub(crate) endpoint: Option<Arc<Endpoint>>,
    /// Those of the first tries, where there was another one after them.
    pub(crate) earlier: Vec<Arc<Endpoint>>,
    /// How long the phases of the last try took.
    pub(crate) phases: Phases,
    /// When the last byte moved between rosn and the upstream; 0 = not yet.
    pub(crate) upstream_end: u64,
    pub(crate) upstream: Option<Rc<Upstream>>,
    /// What is spoken to the upstream.
    pub(crate) upstream_protocol: Option<Protocol>,
    pub(crate) route: Option<Arc<str>>,
    /// Why the upstream failed.
    pub(crate) failure: Option<String>,
    /// Where the response came from, or what failed: a word of those in the guide. Empty = not known yet.
    pub(crate) details: &'static str,
    /// How many times an endpoint was chosen.
    pub(crate) tries: u32,
    /// Where it is a gRPC call: what is known of that.
    pub(crate) grpc: Option<Box<Call>>,
    pub(crate) direct: bool,
    /// The client is told how long the phases took.
    pub(crate) server_timing: bool,
    /// The response is not an upstream's.
    pub(crate) own: bool,
    /// The connection that the request went to, and this end's address of it.
    pub(crate) upstream_connection: Option<(u64, Option<Rc<PeerAddr>>)>,
    /// The path that went to the upstream is that of [`View::path`], and not the client's.
    pub(crate) path_rewritten: bool,
    /// The Host that went to the upstream, where it is not the client's.
    pub(crate) host: Option<Vec<u8>>,
    pub(crate) global_timeout: Option<Duration>,
    pub(crate) try_timeout: Option<Duration>,
}

impl Record {
    /// Another try begins, at this endpoint.
    pub(crate) fn begin_try(&mut self, endpoint: Arc<Endpoint>) {
        // A name may have been resolved ahead of the first try, to know its endpoint.
        let dns = if self.tries == 0 { self.phases.dns } else { Took::NEVER };
        (self.phases, self.upstream_end) = (Phases { dns, ..Phases::default() }, 0);
        self.tries += 1;
        if let Some(call) = &mut self.grpc {
            call.begin_try();
        }
        if let Some(former) = self.endpoint.replace(endpoint)
            && self.earlier.len() < EARLIER
        {
            self.earlier.push(former);
        }
    }

    /// The first byte of a response to the present try came `at` this time. The request had been sent whole at `sent`;
    /// 0 = it has not been. The try began to send at `begin`.
    pub(crate) fn response_began(&mut self, begin: u64, sent: u64, at: u64) {
        (self.request_sent, self.response_head) = (sent, at);
        let since = if sent > 0 { sent } else { begin };
        self.phases.first_byte = Took::nanos(at.saturating_sub(since));
    }

    /// The status by which it counts as a success or not: that of a gRPC call stands for itself.
    pub(crate) fn verdict(&self) -> u16 {
        self.grpc.as_ref().and_then(|call| call.http_status()).unwrap_or(self.status)
    }

    /// Appends the addresses of the endpoints that were tried.
    pub(crate) fn write_addrs(&self, out: &mut Vec<u8>) -> bool {
        for endpoint in &self.earlier {
            let _ = write!(out, "{},", endpoint.addr());
        }
        self.endpoint.as_ref().is_some_and(|endpoint| show(out, endpoint.addr()))
    }
}

/// A [`Record`] with the messages it is about.
pub(crate) struct View<'a> {
    pub(crate) record: &'a Record,
    pub(crate) info: &'a ClientInfo,
    pub(crate) listener: &'a checked::Listener,
    /// The wall-clock time of [`Record::start`].
    pub(crate) started: SystemTime,
    pub(crate) now: u64,
    /// The request; `None` where its head could not be read.
    pub(crate) request: Option<(&'a RequestHead, &'a [u8])>,
    /// The response of the upstream, as it came.
    pub(crate) response: Option<Fields<'a>>,
    /// The path and query that went to the upstream, if [`Record::path_rewritten`].
    pub(crate) path: &'a [u8],
}

impl Variables for View<'_> {
    fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        match variable {
            Variable::Http1(inner) => !self.record.http2 && self.write(inner, out),
            Variable::Http2(inner) => self.record.http2 && self.write(inner, out),
            Variable::RequestHeader(name) => put(out, self.header(name)),
            Variable::ResponseHeader(name) => put(out, self.response.and_then(|r| r.find(name))),
            Variable::RequestArg(name) => put(out, self.query().and_then(|query| arg(query, name))),
            Variable::Cookie(name) => put(out, self.header("cookie").and_then(|c| cookie(c, name))),
            _ => {
                self.write_time(variable, out)
                    || self.write_connection(variable, out)
                    || self.write_tls(variable, out)
                    || self.write_request(variable, out)
                    || self.write_outcome(variable, out)
                    || self.write_upstream(variable, out)
            }
        }
    }
}

impl View<'_> {
    fn write_time(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let record = self.record;
        let since = |at: u64| (at > 0).then(|| at.saturating_sub(record.start));
        let end = if record.end > 0 { record.end } else { self.now };
        let took = end.saturating_sub(record.start);
        let value = match variable {
            Variable::StartTime => return write_start_time(self.started, out),
            Variable::RequestReceivedDuration => since(record.request_sent).or(Some(0)),
            Variable::ResponseReceivedDuration => since(record.response_head),
            Variable::RequestFinishedDuration | Variable::Duration => Some(took),
            Variable::UpstreamDnsTime => record.phases.dns.value(),
            Variable::UpstreamConnectTime => record.phases.connect.value(),
            Variable::UpstreamTlsTime => record.phases.tls.value(),
            Variable::UpstreamPoolWait => record.phases.pool_wait.value(),
            Variable::UpstreamFirstByteTime => record.phases.first_byte.value(),
            Variable::UpstreamTotalTime if record.tries == 0 => None,
            Variable::UpstreamTotalTime => since(record.upstream_end).or(Some(took)),
            Variable::ProcessTimeDuration => {
                let waited = record.response_head.saturating_sub(record.request_sent);
                Some(took.saturating_sub(if record.request_sent > 0 { waited } else { 0 }))
            }
            _ => return false,
        };
        value.is_some_and(|nanos| show(out, format_args!("{:?}", Duration::from_nanos(nanos))))
    }

    fn write_connection(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        match variable {
            Variable::DownstreamLocalAddress => show(out, &self.info.local),
            Variable::DownstreamRemoteAddress => show(out, &self.info.peer),
            Variable::OriRemoteAddr => self.info.original_dst.is_some_and(|addr| show(out, addr)),
            Variable::ConnectionId => show(out, self.info.id),
            Variable::ListenerName => put(out, Some(self.listener.name.as_bytes())),
            Variable::ListenerType => {
                !self.listener.direction.is_empty()
                    && put(out, Some(self.listener.direction.as_bytes()))
            }
            Variable::ListenerPort => {
                self.listener.address.port().is_some_and(|port| show(out, port))
            }
            Variable::Protocol | Variable::DownstreamProtocol => {
                put(out, Some(if self.record.http2 { b"Http2" } else { b"Http1" }))
            }
            Variable::Scheme | Variable::RequestScheme => {
                put(out, Some(self.info.scheme(self.listener).as_bytes()))
            }
            _ => false,
        }
    }

    fn write_request(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let Some((head, bytes)) = self.request else { return false };
        match variable {
            Variable::Authority if self.record.host.is_some() => {
                put(out, self.record.host.as_deref())
            }
            Variable::Host | Variable::Authority => put(out, Some(head.authority(bytes))),
            Variable::Path if self.record.path_rewritten => {
                put(out, self.path.split(|byte| *byte == b'?').next())
            }
            Variable::Path
            | Variable::PathOriginal
            | Variable::RequestPath
            | Variable::RequestPathOriginal => put(out, Some(head.path(bytes))),
            Variable::QueryString | Variable::RequestArgs => put(out, self.query()),
            Variable::RequestUri => put(out, Some(head.path_and_query(bytes))),
            Variable::Method | Variable::RequestMethod => {
                put(out, Some(head.method_span().of(bytes)))
            }
            Variable::RequestLength => {
                show(out, self.record.head_bytes + self.record.bytes_received)
            }
            _ => false,
        }
    }

    fn write_outcome(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let record = self.record;
        match variable {
            Variable::BytesSent => show(out, record.bytes_sent),
            Variable::BytesReceived => show(out, record.bytes_received),
            Variable::ResponseCode | Variable::Status => {
                record.status > 0 && show(out, record.status)
            }
            Variable::ResponseFlag => show(out, !record.flags.is_empty()),
            Variable::ResponseFlags => !record.flags.is_empty() && show(out, record.flags),
            Variable::ResponseCodeDetails => {
                !record.details.is_empty() && put(out, Some(record.details.as_bytes()))
            }
            Variable::GrpcStatus => {
                record.grpc.as_ref().and_then(|call| call.status).is_some_and(|s| show(out, s))
            }
            Variable::GrpcMessage => {
                let message = record.grpc.as_ref().map(|call| call.message.as_slice());
                put(out, message.filter(|message| !message.is_empty()))
            }
            Variable::StreamId => record.id > 0 && show(out, record.id),
            Variable::ProxyHijackStatus => record.own && show(out, record.status),
            Variable::RouteName => put(out, record.route.as_deref().map(str::as_bytes)),
            Variable::ProxyDirectResponse => record.direct && put(out, Some(b"true")),
            Variable::ProxyGlobalTimeout => show_timeout(out, record.global_timeout),
            Variable::ProxyTryTimeout => show_timeout(out, record.try_timeout),
            _ => false,
        }
    }

    fn write_upstream(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let record = self.record;
        match variable {
            Variable::UpstreamHost => {
                record.endpoint.as_ref().is_some_and(|endpoint| match endpoint.hostname() {
                    "" => show(out, endpoint.addr()),
                    name => put(out, Some(name.as_bytes())),
                })
            }
            Variable::UpstreamConnectionId => {
                record.upstream_connection.as_ref().is_some_and(|(id, _)| show(out, id))
            }
            Variable::UpstreamLocalAddress => {
                let local =
                    record.upstream_connection.as_ref().and_then(|(_, local)| local.as_ref());
                local.is_some_and(|local| show(out, local))
            }
            Variable::UpstreamCluster => {
                put(out, record.upstream.as_ref().map(|u| u.cluster.name().as_bytes()))
            }
            Variable::UpstreamProtocol => {
                record.upstream_protocol.is_some_and(|protocol| show(out, protocol))
            }
            Variable::UpstreamTransportFailureReason => {
                put(out, record.failure.as_deref().map(str::as_bytes))
            }
            Variable::UpstreamIndex => record.tries > 0 && show(out, record.tries - 1),
            Variable::UpstreamTries => record.upstream.is_some() && show(out, record.tries),
            Variable::UpstreamAddrs => record.write_addrs(out),
            Variable::UpstreamReused => {
                record.phases.reused.is_some_and(|reused| show(out, reused))
            }
            _ => false,
        }
    }

    fn header(&self, lower_name: &str) -> Option<&[u8]> {
        let (head, bytes) = self.request?;
        head.value(bytes, lower_name)
    }

    fn query(&self) -> Option<&[u8]> {
        let (head, bytes) = self.request?;
        let whole = head.path_and_query(bytes);
        memchr::memchr(b'?', whole).map(|at| &whole[at + 1..])
    }
}

fn put(out: &mut Vec<u8>, value: Option<&[u8]>) -> bool {
    value.is_some_and(|value| {
        out.extend_from_slice(value);
        true
    })
}

fn show(out: &mut Vec<u8>, value: impl fmt::Display) -> bool {
    write!(out, "{value}").is_ok()
}

fn show_timeout(out: &mut Vec<u8>, value: Option<Duration>) -> bool {
    value.is_some_and(|value| show(out, value.as_millis()))
}

/// MOSN's layout, "2006/01/02 15:04:05.000", in local time.
fn write_start_time(at: SystemTime, out: &mut Vec<u8>) -> bool {
    rosn_telemetry::write_start_time(at, out);
    true
}

/// The value of a query argument, as it stands in the query.
fn arg<'a>(query: &'a [u8], name: &str) -> Option<&'a [u8]> {
    query.split(|byte| *byte == b'&').find_map(|pair| {
        let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        (pair[..at] == *name.as_bytes()).then(|| pair.get(at + 1..).unwrap_or_default())
    })
}

/// The value of a cookie.
fn cookie<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    header.split(|byte| *byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        let at = memchr::memchr(b'=', pair)?;
        (pair[..at] == *name.as_bytes()).then(|| &pair[at + 1..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_arguments_and_cookies() {
        assert_eq!(arg(b"a=1&b=2&c", "b"), Some(&b"2"[..]));
        assert_eq!(arg(b"a=1&b=2&c", "c"), Some(&b""[..]));
        assert_eq!(arg(b"ab=1", "a"), None);
        assert_eq!(cookie(b"a=1; session=x=y;b=2", "session"), Some(&b"x=y"[..]));
        assert_eq!(cookie(b"session_id=1", "session"), None);
    }
    /// However many tries there are, the memory for their addresses is bounded.
    #[test]
    fn keeps_the_first_addresses_and_the_last() {
        let text = r#"{"servers": [{"listeners": [], "routers": []}],
            "cluster_manager": {"clusters": [{"name": "c", "type": "ORIGINAL_DST"}]}}"#;
        let loaded =
            rosn_config::load_text("test", text, rosn_config::Format::Json, &Default::default());
        let shown = loaded.diagnostics.render_text(false);
        let config = Arc::clone(&loaded.config.expect(&shown).clusters["c"]);
        let stats = Arc::new(rosn_cluster::Unexported { shards: 1 });
        let cluster = rosn_cluster::Cluster::new(config, 1, stats);
        let mut record = Record::default();
        let mut out = Vec::new();
        assert!(!record.write_addrs(&mut out) && out.is_empty());
        for last in 1..=20 {
            record.begin_try(cluster.original_dst(([10, 0, 0, last], 80).into()));
        }
        assert!(record.write_addrs(&mut out));
        let expected = [1, 2, 3, 4, 5, 6, 7, 20].map(|last| format!("10.0.0.{last}:80")).join(",");
        assert_eq!(String::from_utf8_lossy(&out), expected);
        assert_eq!((record.tries, record.earlier.len()), (20, EARLIER));
    }

    #[test]
    fn the_first_byte_is_waited_for_from_the_end_of_the_request() {
        let mut record = Record::default();
        let first_byte = |record: &Record| record.phases.first_byte.value();
        record.response_began(10, 20, 50);
        assert_eq!(first_byte(&record), Some(30));
        // A response that was faster than the body of its request.
        record.response_began(10, 0, 50);
        assert_eq!(first_byte(&record), Some(40));
        record.response_began(10, 60, 50);
        assert_eq!(first_byte(&record), Some(0), "never negative");
    }
}
