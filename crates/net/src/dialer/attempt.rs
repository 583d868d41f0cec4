//! The tries of one dial.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rosn_base::Addr;
use rosn_trace::{Cancelled, DialId, ErrorRef, Event, Interest, Pending};
use tokio::time::{Instant, timeout_at};

use super::{DialContext, Dialer, timed_out};
use crate::{DialError, DialOptions, Net, PeerAddr, Stream};

/// What an address has at least, unless the dial itself has less (Go's `partialDeadline`).
const LEAST_SHARE: Duration = Duration::from_secs(2);

/// How often a connection is tried once more that met itself, or for which the system found no port (Go's number).
const RETRIES: u32 = 2;

/// The tries of one dial, which may be under way at the same time.
pub(super) struct Attempts<'a> {
    dialer: &'a Dialer,
    context: &'a DialContext,
    /// What was to be dialed, for errors.
    target: &'a Addr,
    /// How many there were so far.
    begun: AtomicU32,
    /// One has succeeded.
    won: AtomicBool,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(dialer: &'a Dialer, context: &'a DialContext, target: &'a Addr) -> Self {
        let (begun, won) = (AtomicU32::new(0), AtomicBool::new(false));
        Self { dialer, context, target, begun, won }
    }

    /// Tries one address after the other. The error is the first one's.
    pub(super) async fn in_turn(&self, addrs: &[SocketAddr]) -> Result<Stream, DialError> {
        let mut first = None;
        for (index, addr) in addrs.iter().enumerate() {
            let deadline = match self.context.deadline {
                Some(deadline) => {
                    let now = Instant::now();
                    if deadline <= now {
                        break;
                    }
                    Some(share(now, deadline, addrs.len() - index))
                }
                None => None,
            };
            match self.connect(&Addr::Ip(*addr), deadline).await {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or_else(|| timed_out(self.target)))
    }

    /// Tries one address, which is no name.
    pub(super) async fn connect(
        &self,
        addr: &Addr,
        deadline: Option<Instant>,
    ) -> Result<Stream, DialError> {
        let attempt = Attempt::begin(self, addr);
        let connect = connect(&*self.dialer.net, addr, &self.dialer.options);
        let result = within(deadline, addr, connect).await;
        attempt.done(&result);
        result
    }
}

/// One try. Dropping it reports that it was given up, and whether for another one.
struct Attempt<'a> {
    dial: DialId,
    try_no: u32,
    addr: &'a Addr,
    won: &'a AtomicBool,
    pending: Option<Pending<'a>>,
}

impl<'a> Attempt<'a> {
    fn begin(attempts: &'a Attempts<'_>, addr: &'a Addr) -> Self {
        let dial = attempts.context.id;
        let try_no = attempts.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let start = || Event::ConnectStart { dial, try_no, addr };
        let pending = Some(attempts.context.trace.begin(Interest::CONNECT, start));
        Self { dial, try_no, addr, won: &attempts.won, pending }
    }

    fn done(mut self, result: &Result<Stream, DialError>) {
        let result = match result {
            Ok(_) => Ok(()),
            Err(error) => Err(error as ErrorRef<'_>),
        };
        self.report(result, false);
        if result.is_ok() {
            self.won.store(true, Ordering::Relaxed);
        }
    }

    fn report(&mut self, result: Result<(), ErrorRef<'_>>, lost_race: bool) {
        let Self { dial, try_no, addr, .. } = *self;
        if let Some(pending) = self.pending.take() {
            pending.done(|| Event::ConnectDone { dial, try_no, addr, result, lost_race });
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.report(Err(&Cancelled), self.won.load(Ordering::Relaxed));
    }
}

/// When an address is given up, if as many are left, itself included.
fn share(now: Instant, deadline: Instant, left: usize) -> Instant {
    let rest = deadline.saturating_duration_since(now);
    let left = u32::try_from(left).unwrap_or(u32::MAX).max(1);
    now + (rest / left).max(LEAST_SHARE).min(rest)
}

async fn within(
    deadline: Option<Instant>,
    addr: &Addr,
    connect: impl Future<Output = Result<Stream, DialError>>,
) -> Result<Stream, DialError> {
    match deadline {
        Some(deadline) => {
            timeout_at(deadline, connect).await.unwrap_or_else(|_| Err(timed_out(addr)))
        }
        None => connect.await,
    }
}

/// Connects, and once more where that went wrong by chance. Where the caller chose the local port, nothing is left
/// to chance.
async fn connect(net: &dyn Net, addr: &Addr, options: &DialOptions) -> Result<Stream, DialError> {
    let by_chance = options.bind.is_none_or(|local| local.port() == 0);
    let target = match addr {
        Addr::Ip(target) if by_chance => *target,
        _ => return net.connect(addr, options).await,
    };
    let mut retries = RETRIES;
    loop {
        let last = match net.connect(addr, options).await {
            Ok(stream) if is_its_own_peer(&stream, target) => {
                // Closed plainly it would keep the port from those who want to listen there.
                stream.reset();
                met_itself(addr)
            }
            Err(error) if no_port(&error) => error,
            result => return result,
        };
        if retries == 0 {
            return Err(last);
        }
        retries -= 1;
    }
}

/// Whether the system chose as the local port the one that was dialed, on which nobody listens: by a simultaneous
/// open (RFC 9293, 3.5) the connection then meets itself.
fn is_its_own_peer(stream: &Stream, target: SocketAddr) -> bool {
    match stream.local_addr() {
        Ok(PeerAddr::Ip(local)) if local.port() == target.port() => {
            stream.peer_addr().is_ok_and(|peer| peer == PeerAddr::Ip(local))
        }
        _ => false,
    }
}

/// Linux says so now and then although there are free ports (golang.org/issue/3838).
fn no_port(error: &DialError) -> bool {
    matches!(
        error,
        DialError::Connect { source, .. } if source.kind() == io::ErrorKind::AddrNotAvailable
    )
}

fn met_itself(addr: &Addr) -> DialError {
    let source = io::Error::new(
        io::ErrorKind::ConnectionRefused,
        "refused: nothing listens there (the connection met itself)",
    );
    DialError::Connect { target: addr.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row 79: Go's `TestDialerPartialDeadline`.
    #[tokio::test(start_paused = true)]
    async fn addresses_share_the_time_that_is_left() {
        let now = Instant::now();
        let seconds = Duration::from_secs;
        for (rest, left, share_of_it) in [
            (seconds(12), 1, seconds(12)),
            (seconds(12), 2, seconds(6)),
            (seconds(12), 3, seconds(4)),
            // Regardless of the share, at least 2 s.
            (seconds(12), 1000, seconds(2)),
            // But not more than there is.
            (Duration::from_millis(1900), 2, Duration::from_millis(1900)),
        ] {
            assert_eq!(share(now, now + rest, left), now + share_of_it, "{rest:?} {left}");
        }
    }
}
