//! A UDP socket as QUIC sees it: packets go in and come out, datagrams of v2ray's are on the wire.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use quinn::udp::{BATCH_SIZE, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use rosn_net::{Batch, Datagrams, Received};
use tokio::sync::watch;

use super::envelope::{Envelope, Sealer};

/// The largest datagram that is taken, in bytes; v2ray's read buffer has as many.
pub(super) const LARGEST: u16 = 2048;

/// Datagrams in one buffer: as many of [`LARGEST`] as fit into the 64 KiB that one call receives at most.
const RECEIVED_TOGETHER: usize = 32;

#[derive(Debug)]
pub(super) struct Socket {
    datagrams: Arc<dyn Datagrams>,
    envelope: Envelope,
    sealer: Mutex<Sealer>,
    /// The network says that nobody is there (ICMP). QUIC goes on all the same, as anybody can say that; a
    /// handshake may want to end.
    unreachable: watch::Sender<Option<ErrorKind>>,
}

impl Socket {
    pub(super) fn new(datagrams: Arc<dyn Datagrams>, envelope: Envelope) -> Self {
        let sealer = Mutex::new(envelope.sealer());
        Self { datagrams, envelope, sealer, unreachable: watch::Sender::new(None) }
    }

    /// Waits until the network says that nobody is there.
    pub(super) async fn unreachable(&self) -> ErrorKind {
        let mut unreachable = self.unreachable.subscribe();
        let known = unreachable.wait_for(Option::is_some).await;
        // The sender is `self`'s, so it is still there.
        known.ok().and_then(|kind| *kind).unwrap_or(ErrorKind::NotConnected)
    }

    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let overhead = self.envelope.overhead();
        let (to, segment) = (transmit.destination, transmit.segment_size);
        if overhead == 0 {
            return self.datagrams.try_send(&Batch { to, bytes: transmit.contents, segment });
        }
        let mut sealer = self.sealer.lock().unwrap_or_else(PoisonError::into_inner);
        let stride = segment.unwrap_or(transmit.contents.len()).max(1);
        let sealed = self.envelope.seal(&mut sealer, transmit.contents, stride);
        let bytes = sealed.map_err(|_| io::Error::other("a packet could not be sealed"))?;
        self.datagrams.try_send(&Batch { to, bytes, segment: segment.map(|one| one + overhead) })
    }

    /// Remembers what ICMP says. Returns whether it was that.
    fn note(&self, error: &io::Error) -> bool {
        let answer = matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
        );
        if answer {
            self.unreachable.send_replace(Some(error.kind()));
        }
        answer
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable(self))
    }

    /// What cannot be sent now is lost, as a network may lose it: QUIC sends it again. Packets that are too large for
    /// the path among them, by which it finds out (RFC 9000 14.3).
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.send(transmit) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(error),
            Err(error) => {
                self.note(&error);
                tracing::trace!(to = %transmit.destination, %error, "a QUIC packet was not sent");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let nothing = Received { from: SocketAddr::from(([0; 4], 0)), len: 0, stride: 0 };
        let mut received = [nothing; BATCH_SIZE];
        let count = buffers.len().min(meta.len()).min(BATCH_SIZE);
        let used = loop {
            let polled =
                self.datagrams.poll_receive(cx, &mut buffers[..count], &mut received[..count]);
            match ready!(polled) {
                Ok(used) => break used,
                Err(error) if self.note(&error) || error.kind() == ErrorKind::ConnectionReset => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        };
        for ((buffer, meta), received) in buffers.iter_mut().zip(meta).zip(&received[..used]) {
            let filled = received.len.min(buffer.len());
            let (len, stride) = match self.envelope.overhead() {
                0 => (filled, received.stride),
                // Without a packet in it the buffer counts as empty, which QUIC passes over.
                _ => self.envelope.open(&mut buffer[..filled], received.stride),
            };
            *meta = RecvMeta { addr: received.from, len, stride, ecn: None, dst_ip: None };
        }
        Poll::Ready(Ok(used))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.datagrams.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.datagrams.max_batch()
    }

    fn max_receive_segments(&self) -> usize {
        if self.datagrams.max_received() > 1 { RECEIVED_TOGETHER } else { 1 }
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// Waits for room to send.
#[derive(Debug)]
struct Writable(Arc<Socket>);

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.datagrams.poll_writable(cx)
    }
}
