//! The TLS handshake with a client.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;

use rosn_net::Stream;
use rosn_tls::{Acceptor, ClientHello, Session, TlsStream, is_untrusted};
use tracing::debug;

use super::Beginning;
use crate::snapshot::Asked;
use crate::stats::DownstreamStats;

impl Beginning {
    /// Does the handshake within `limits.handshake_timeout`; a failure is counted and logged.
    pub(super) async fn secure(
        &mut self,
        acceptor: &Acceptor,
        stream: Stream,
    ) -> Option<(Stream, Session)> {
        self.timer.set(self.after(self.limits().handshake_timeout));
        let mut handshake = pin!(acceptor.accept(stream));
        let done = poll_fn(|cx| {
            if let Poll::Ready(done) = handshake.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            if self.timer.poll_expired(cx.waker()) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Poll::Pending
        })
        .await;
        self.worker.clock.refresh();
        self.count(&done);
        match done {
            Ok(stream) => {
                let session = stream.session();
                Some((stream.into_stream(), session))
            }
            Err(error) => {
                let listener = &self.serving.listener().config.name;
                debug!(%listener, peer = %self.info.peer, "a TLS handshake failed: {error}");
                None
            }
        }
    }

    fn count(&self, done: &io::Result<TlsStream<Stream>>) {
        for stats in [&self.worker.shared.stats, &self.serving.listener().stats] {
            let stats: &DownstreamStats = stats.shard(self.worker.index);
            match done {
                Ok(stream) => {
                    stats.tls_handshake_total.add(1);
                    stats.tls_resumed_total.add(u64::from(stream.is_resumed()));
                }
                Err(error) => {
                    stats.tls_failed_total.add(1);
                    let reason = match error.kind() {
                        io::ErrorKind::TimedOut => Some(&stats.tls_failed_timeout),
                        io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::BrokenPipe => Some(&stats.tls_failed_closed),
                        _ if is_untrusted(error) => Some(&stats.tls_failed_certificate),
                        _ => None,
                    };
                    if let Some(reason) = reason {
                        reason.add(1);
                    }
                }
            }
        }
    }
}

impl Asked {
    pub(super) fn of_session(session: &Session) -> Self {
        Self {
            server_name: session.server_name().map(Box::from),
            alpn: session.alpn().map(Box::from).into_iter().collect(),
        }
    }

    pub(super) fn of_hello(hello: ClientHello) -> Self {
        Self {
            server_name: hello.server_name.map(String::into_boxed_str),
            alpn: hello.alpn.into_iter().map(Vec::into_boxed_slice).collect(),
        }
    }
}
