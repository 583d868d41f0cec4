//! Dials for those who wait.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use rosn_trace::DialId;
use tokio::time::{Instant, timeout_at};

use super::waiter::Waiter;
use super::{Carrier, Connection, Permit, Pool};
use crate::connect::{Connected, Scheme, Target, Versions};
use crate::error::Kind;
use crate::http2;
use crate::transport::http2::Multiplexed;
use crate::{Error, Phase};

/// Makes a connection for `waiter`. It goes on where that has got another one meanwhile.
pub(super) async fn run(pool: Arc<Pool>, waiter: Arc<Waiter>, permit: Option<Permit>) {
    let unanswered = Unanswered(&waiter);
    if let Err(error) = dial(&pool, &waiter, permit).await {
        waiter.fail(error);
    }
    drop(unanswered);
}

async fn dial(pool: &Arc<Pool>, waiter: &Waiter, permit: Option<Permit>) -> Result<(), Error> {
    let dial = DialId::next();
    let deadline = waiter.deadline.map(Instant::from_std);
    let target = &waiter.target;
    let connected = pool.connector.connect(target, &waiter.trace, dial, deadline).await?;
    if is_http2(&connected, target)? {
        let peer = connected.peer.clone();
        let target = target.clone();
        let start = Multiplexed::start(connected, dial, target, permit, pool, &pool.http2);
        let limit = deadline.unwrap_or_else(|| Instant::now() + PREFACE);
        let failed =
            |error: Error| error.at(Arc::clone(&waiter.target.authority)).peer(peer.as_ref());
        let connection = match timeout_at(limit, start).await {
            Ok(started) => started.map_err(|error| failed(http2::failed(Phase::Connect, error)))?,
            Err(_) => return Err(failed(Error::of(Phase::Connect, Kind::Timeout))),
        };
        pool.share(connection, waiter);
        return Ok(());
    }
    let connection = Box::new(Connection::new(connected, dial, target.clone(), permit));
    match waiter.deliver(Carrier::Http1(connection)) {
        Ok(waker) => waker.into_iter().for_each(Waker::wake),
        // It is lost where nobody waits and the pool is full.
        Err(Carrier::Http1(connection)) => drop(pool.put(connection)),
        Err(Carrier::Http2(_)) => unreachable!("what comes back is what was given"),
    }
    Ok(())
}

/// How long the first bytes of HTTP/2 may take to be sent.
const PREFACE: Duration = Duration::from_secs(10);

/// Whether HTTP/2 is to be spoken: what ALPN chose decides, or the target where there is none.
fn is_http2(connected: &Connected, target: &Target) -> Result<bool, Error> {
    let what = match (connected.alpn.as_deref(), target.versions) {
        (Some(b"h2"), Versions::Negotiated | Versions::Http2) => return Ok(true),
        (None, Versions::Http2) if target.scheme == Scheme::Http => return Ok(true),
        (_, Versions::Http2) => "the server does not speak HTTP/2".to_owned(),
        (None | Some(b"http/1.1" | b"http/1.0"), _) => return Ok(false),
        (Some(other), _) => {
            format!("the server chose {}, which is not spoken", other.escape_ascii())
        }
    };
    let error = Error::of(Phase::Tls, Kind::Failed).what(what);
    Err(error.at(Arc::clone(&target.authority)).peer(connected.peer.as_ref()))
}

/// Answers if nothing else did: the runtime ends, or a hook panicked.
struct Unanswered<'a>(&'a Waiter);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let error = Error::of(Phase::Connect, Kind::Cancelled).what("the dial was given up");
        self.0.fail(error.at(Arc::clone(&self.0.target.authority)));
    }
}
