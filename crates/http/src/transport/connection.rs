//! A connection of the pool, and its being lent to a request.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderValue;
use rosn_base::{Addr, Buf};
use rosn_h1::ResponseHead;
use rosn_net::Stream;
use rosn_trace::{ConnId, DialId, Event, Interest, NotReused, TraceHandle};
use tokio::io::{AsyncRead as _, ReadBuf};

use super::pool::{Permit, Pool};
use crate::connect::{Connected, Target};

/// Bytes that are read at a time until a response's head is there.
const INBOUND: usize = 8 * 1024;

/// An HTTP/1.1 connection with what it reads and writes by, so that a request on it allocates little.
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) id: ConnId,
    pub(super) dial: DialId,
    pub(super) local: Option<Addr>,
    pub(super) peer: Option<Addr>,
    pub(super) absolute_form: bool,
    pub(super) proxy_authorization: Option<HeaderValue>,
    /// Requests that it has carried, the present one included.
    pub(super) requests: u64,
    /// What was read and not used.
    pub(super) inbound: Buf,
    pub(super) head: ResponseHead,
    /// Buffers of the writer.
    pub(super) out: (Vec<u8>, Vec<u8>),
    pub(super) target: Target,
    /// Its place among the connections that its host may have.
    pub(super) _permit: Option<Permit>,
}

impl Connection {
    pub(super) fn new(
        connected: Connected,
        dial: DialId,
        target: Target,
        permit: Option<Permit>,
    ) -> Self {
        Self {
            stream: connected.stream,
            id: ConnId::next(),
            dial,
            local: connected.local,
            peer: connected.peer,
            absolute_form: connected.absolute_form,
            proxy_authorization: connected.proxy_authorization,
            requests: 0,
            inbound: Buf::with_capacity(INBOUND),
            head: ResponseHead::default(),
            out: Default::default(),
            target,
            _permit: permit,
        }
    }

    /// Whether nothing can be read: a byte or an end here would be taken for part of the next response. `waker` is
    /// woken when that changes.
    ///
    /// `probe` asks the kernel too, which costs a system call: for requests that cannot be sent twice.
    pub(super) fn is_quiet(&mut self, waker: &Waker, probe: bool) -> bool {
        let mut cx = Context::from_waker(waker);
        match self.stream.poll_read_ready(&mut cx) {
            Poll::Pending if !probe => true,
            Poll::Pending => self.stream.is_quiet(),
            // The runtime that it was made in has ended.
            Poll::Ready(Err(_)) => false,
            // It only seems so where the last read took all there was. This tells tokio, and leaves the waker.
            Poll::Ready(Ok(())) => {
                let mut byte = [0];
                Pin::new(&mut self.stream)
                    .poll_read(&mut cx, &mut ReadBuf::new(&mut byte))
                    .is_pending()
            }
        }
    }

    /// Gives back memory that an unusual response has taken.
    fn shrink(&mut self) {
        if self.inbound.capacity() > INBOUND {
            self.inbound = Buf::with_capacity(INBOUND);
        }
        if self.out.0.capacity() > INBOUND {
            self.out.0 = Vec::new();
        }
    }
}

impl fmt::Debug for Connection {
    /// Without its buffers, which hold what was sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, requests) = (&self.id, &self.requests);
        f.debug_struct("Connection")
            .field("id", id)
            .field("peer", &self.peer)
            .field("requests", requests)
            .finish_non_exhaustive()
    }
}

/// A connection while a request has it. Dropping it closes it, and says so.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Option<Box<Connection>>,
    pub(super) pool: Arc<Pool>,
    pub(super) trace: TraceHandle,
}

impl Lease {
    pub(super) fn new(
        mut connection: Box<Connection>,
        pool: Arc<Pool>,
        trace: TraceHandle,
    ) -> Self {
        connection.requests += 1;
        Self { connection: Some(connection), pool, trace }
    }

    /// Gives it to the next request, or closes it for this reason.
    pub(super) fn end(mut self, reuse: Result<(), NotReused>) {
        let Some(mut connection) = self.connection.take() else { return };
        let conn = connection.id;
        let result = match reuse {
            Ok(()) if !connection.inbound.is_empty() => Err(NotReused::Broken), // unasked for
            Ok(()) => {
                connection.shrink();
                self.pool.put(connection)
            }
            Err(reason) => {
                drop(connection);
                Err(reason)
            }
        };
        self.trace.emit(Interest::POOL, || Event::PutIdle { conn, result });
    }

    /// Takes it out of HTTP: it no longer counts as one of its host's. `read` is what was read already, before the
    /// inbound bytes.
    pub(super) fn switch(mut self, read: Bytes) -> Option<Switched> {
        let Connection { stream, inbound, id: conn, .. } = *self.connection.take()?;
        let read =
            if inbound.is_empty() { read } else { Bytes::from([&read, inbound.unread()].concat()) };
        self.trace.emit(Interest::READ, || Event::Upgraded { conn });
        let result = Err(NotReused::Upgraded);
        self.trace.emit(Interest::POOL, || Event::PutIdle { conn, result });
        Some(Switched { stream, read })
    }
}

/// A connection that is no longer HTTP, and what was read from it.
#[derive(Debug)]
pub(crate) struct Switched {
    pub(super) stream: Stream,
    pub(super) read: Bytes,
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_deref().expect("it is there until the lease is consumed")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_deref_mut().expect("it is there until the lease is consumed")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let conn = connection.id;
            drop(connection);
            let result = Err(NotReused::Broken);
            self.trace.emit(Interest::POOL, || Event::PutIdle { conn, result });
        }
    }
}
