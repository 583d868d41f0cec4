//! An open connection to an endpoint, and its place in the counts.

use std::rc::Rc;
use std::sync::Arc;

use rosn_cluster::{Endpoint, Permit};
use rosn_net::{KeepAlive, PeerAddr, Stream};

use super::http2::Place;
use super::{Upstream, count};
use crate::h2::Http2Stream;
use crate::http::Side;

/// An open connection to an endpoint, or one stream of one; dropping it closes it.
pub(crate) struct Connection {
    pub(crate) side: Side,
    /// Which connection it is, for the access log.
    pub(crate) id: u64,
    /// This end's address, once somebody has asked.
    local: Option<Rc<PeerAddr>>,
    /// Requests that were sent on it.
    pub(crate) requests: u32,
    /// When it was put into the pool, in nanoseconds of the worker's clock.
    pub(super) idle_since: u64,
    pub(crate) endpoint: Arc<Endpoint>,
    // The last: a place is free when nothing of its stream is left.
    held: Held,
}

impl Connection {
    pub(super) fn new(stream: Stream, id: u64, counted: Counted) -> Self {
        let endpoint = Arc::clone(&counted.endpoint);
        let (side, held) = (Side::Http1(stream), Held::Connection(counted));
        Self { side, id, local: None, requests: 0, idle_since: 0, endpoint, held }
    }

    /// The stream that is to begin at this place.
    pub(super) fn of_stream(mut place: Place) -> Self {
        let stream = Http2Stream::requesting(place.take_sender(), place.scheme(), place.lender());
        Self {
            side: Side::Http2(Box::new(stream)),
            id: place.connection_id(),
            local: place.local_addr(),
            requests: u32::from(place.is_reused()),
            idle_since: 0,
            endpoint: Arc::clone(place.endpoint()),
            held: Held::Stream(place),
        }
    }

    /// The place of a stream; `None` for a whole connection.
    pub(crate) fn place(&self) -> Option<&Place> {
        match &self.held {
            Held::Connection(_) => None,
            Held::Stream(place) => Some(place),
        }
    }

    /// Counts bytes that were moved.
    pub(crate) fn count_bytes(&self, written: u64, read: u64) {
        self.held.count_bytes(written, read);
    }

    /// This end's address; `None` where the connection is gone.
    pub(crate) fn local_addr(&mut self) -> Option<Rc<PeerAddr>> {
        if let (None, Side::Http1(stream)) = (&self.local, &self.side) {
            self.local = stream.local_addr().ok().map(Rc::new);
        }
        self.local.clone()
    }

    /// Its socket, where it has just been made.
    pub(super) fn into_socket(self) -> Option<(Stream, Counted)> {
        match (self.side, self.held) {
            (Side::Http1(stream), Held::Connection(counted)) => Some((stream, counted)),
            _ => None,
        }
    }

    /// What it has become behind a head that says so, and what keeps it counted.
    pub(crate) fn into_parts(mut self) -> Option<(Stream, Held)> {
        let local = self.local_addr();
        let stream = match self.side {
            Side::Http1(stream) => stream,
            Side::Http2(stream) => {
                let peer = PeerAddr::from(self.endpoint.addr().as_ip()?);
                let local = local.map_or(PeerAddr::Unix(None), |local| (*local).clone());
                stream.into_tunnel(peer, local)?
            }
        };
        Some((stream, self.held))
    }
}

/// What keeps a connection, or a stream of one, in the counts.
pub(crate) enum Held {
    /// A connection of its own.
    Connection(Counted),
    /// A stream of a connection that others share.
    Stream(Place),
}

impl Held {
    /// When the endpoint is asked whether it still is there; `None` where others see to that.
    pub(crate) fn keep_alive(&self) -> Option<&KeepAlive> {
        match self {
            Self::Connection(counted) => Some(&counted.upstream.keep_alive),
            Self::Stream(_) => None,
        }
    }

    /// Counts bytes that were moved. Those of streams are counted where they are read and written, with all that
    /// HTTP/2 adds.
    pub(crate) fn count_bytes(&self, written: u64, read: u64) {
        if let Self::Connection(counted) = self {
            counted.count_bytes(written, read);
        }
    }
}

/// A connection's place in the counts; dropping it takes it out.
pub(crate) struct Counted {
    upstream: Rc<Upstream>,
    endpoint: Arc<Endpoint>,
    /// `None` once it is dropped.
    permit: Option<Permit>,
}

impl Counted {
    pub(super) fn new(upstream: &Rc<Upstream>, endpoint: &Arc<Endpoint>, permit: Permit) -> Self {
        count!(upstream, endpoint, connection_total, 1);
        count!(upstream, endpoint, connection_active, 1);
        endpoint.connection_opened();
        Self { upstream: Rc::clone(upstream), endpoint: Arc::clone(endpoint), permit: Some(permit) }
    }

    /// Counts that the endpoint has said it is going to close.
    pub(super) fn count_notice(&self) {
        count!(self.upstream, self.endpoint, connection_close_notify, 1);
    }

    /// Counts bytes that were moved.
    pub(super) fn count_bytes(&self, written: u64, read: u64) {
        let stats = self.upstream.stats();
        stats.connection_bytes_write.add(written);
        stats.connection_bytes_read_total.add(read);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.endpoint.connection_closed();
        count!(self.upstream, self.endpoint, connection_close, 1);
        count!(self.upstream, self.endpoint, connection_active, -1);
        self.permit = None;
        self.upstream.waiting.wake_first();
        self.upstream.http2.wake();
    }
}
