//! An open connection to an endpoint, and its place in the counts.

use std::rc::Rc;
use std::sync::Arc;

use rosn_cluster::{Endpoint, Permit};
use rosn_net::{KeepAlive, PeerAddr, Stream};

use super::{Upstream, count};
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
    held: Held,
}

impl Connection {
    pub(super) fn new(side: Side, id: u64, held: Held) -> Self {
        let endpoint = Arc::clone(&held.endpoint);
        Self { side, id, local: None, requests: 0, idle_since: 0, endpoint, held }
    }

    /// This end's address; `None` where the connection is gone.
    pub(crate) fn local_addr(&mut self) -> Option<Rc<PeerAddr>> {
        if let (None, Side::Http1(stream)) = (&self.local, &self.side) {
            self.local = stream.local_addr().ok().map(Rc::new);
        }
        self.local.clone()
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

/// A connection's place in the counts; dropping it takes it out.
pub(crate) struct Held {
    upstream: Rc<Upstream>,
    endpoint: Arc<Endpoint>,
    /// `None` once it is dropped.
    permit: Option<Permit>,
}

impl Held {
    pub(super) fn new(upstream: &Rc<Upstream>, endpoint: &Arc<Endpoint>, permit: Permit) -> Self {
        count!(upstream, endpoint, connection_total, 1);
        count!(upstream, endpoint, connection_active, 1);
        endpoint.connection_opened();
        Self { upstream: Rc::clone(upstream), endpoint: Arc::clone(endpoint), permit: Some(permit) }
    }

    /// When the endpoint is asked whether it still is there.
    pub(crate) fn keep_alive(&self) -> &KeepAlive {
        &self.upstream.keep_alive
    }

    /// Counts bytes of a tunnel.
    pub(crate) fn count_bytes(&self, written: u64, read: u64) {
        let stats = self.upstream.stats();
        stats.connection_bytes_write.add(written);
        stats.connection_bytes_read_total.add(read);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.endpoint.connection_closed();
        count!(self.upstream, self.endpoint, connection_close, 1);
        count!(self.upstream, self.endpoint, connection_active, -1);
        self.permit = None;
        self.upstream.waiting.wake_first();
        self.upstream.http2.wake();
    }
}
