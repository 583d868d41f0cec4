//! Dials for those who wait.

use std::sync::Arc;
use std::task::Waker;

use rosn_trace::DialId;
use tokio::time::Instant;

use super::waiter::Waiter;
use super::{Connection, Permit, Pool};
use crate::connect::{Connected, Target};
use crate::error::Kind;
use crate::{Error, Phase};

/// Makes a connection for `waiter`. It goes on where that has got another one meanwhile.
pub(super) async fn run(pool: Arc<Pool>, waiter: Arc<Waiter>, permit: Option<Permit>) {
    let unanswered = Unanswered(&waiter);
    let dial = DialId::next();
    let deadline = waiter.deadline.map(Instant::from_std);
    let target = &waiter.target;
    let connected = pool.connector.connect(target, &waiter.trace, dial, deadline).await;
    match connected.and_then(|connected| spoken(connected, target)) {
        Ok(connected) => {
            let connection = Box::new(Connection::new(connected, dial, target.clone(), permit));
            match waiter.deliver(connection) {
                Ok(waker) => waker.into_iter().for_each(Waker::wake),
                Err(connection) => {
                    // It is lost where nobody waits and the pool is full.
                    let _ = pool.put(connection);
                }
            }
        }
        Err(error) => waiter.fail(error),
    }
    drop(unanswered);
}

/// What ALPN chose decides how requests are sent. Only HTTP/1.1 is spoken, and offered where the options of TLS say
/// nothing else.
fn spoken(connected: Connected, target: &Target) -> Result<Connected, Error> {
    match connected.alpn.as_deref() {
        None | Some(b"http/1.1" | b"http/1.0") => Ok(connected),
        Some(other) => {
            let what = format!("the server chose {}, which is not spoken", other.escape_ascii());
            let error = Error::of(Phase::Tls, Kind::Failed).what(what);
            Err(error.at(Arc::clone(&target.authority)).peer(connected.peer.as_ref()))
        }
    }
}

/// Answers if nothing else did: the runtime ends, or a hook panicked.
struct Unanswered<'a>(&'a Waiter);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let error = Error::of(Phase::Connect, Kind::Cancelled).what("the dial was given up");
        self.0.fail(error.at(Arc::clone(&self.0.target.authority)));
    }
}
