//! The task of a connection.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use h2::client::Connection;
use h2::{Ping, PingPong};
use rosn_net::{Lingering, Meter, Metered};
use rosn_trace::ConnId;
use tokio::time::{sleep, timeout};

use super::super::pool::{Permit, Pool};
use super::connection::Life;
use crate::connect::Target;

/// How a connection is found to be dead.
#[derive(Debug, Clone)]
pub(in crate::transport) struct Health {
    /// After so long without a byte from the server it is asked.
    pub(in crate::transport) ping_after: Option<Duration>,
    /// It has so long to answer.
    pub(in crate::transport) ping_timeout: Duration,
}

impl Default for Health {
    fn default() -> Self {
        Self { ping_after: Some(Duration::from_secs(30)), ping_timeout: Duration::from_secs(15) }
    }
}

/// What the task of a connection has.
pub(super) struct Driver {
    pub(super) connection: Connection<Lingering<Metered<Arc<Life>>>, Bytes>,
    pub(super) life: Arc<Life>,
    pub(super) health: Health,
    pub(super) id: ConnId,
    pub(super) target: Target,
    pub(super) pool: Weak<Pool>,
    /// Its place among the connections that its host may have.
    pub(super) _permit: Option<Permit>,
}

/// Reads and writes until the connection has ended: by the server, by a fault, or as nobody has it any more.
pub(super) async fn run(mut driver: Driver) {
    let pings = driver.connection.ping_pong().expect("nobody else has taken it");
    let gone =
        Gone { life: &driver.life, pool: &driver.pool, target: &driver.target, id: driver.id };
    tokio::select! {
        biased;
        ended = &mut driver.connection => {
            if let Err(error) = ended {
                tracing::debug!(connection = %driver.id, "an HTTP/2 connection has ended: {error}");
            }
        }
        () = watch(&driver.life, pings, &driver.health) => {
            driver.life.is_dead.store(true, Ordering::Relaxed);
            tracing::debug!(connection = %driver.id, "an HTTP/2 connection is given up: no answer to a ping");
        }
    }
    drop(gone);
}

/// Tells all who have to know that there is no task any more, also where its runtime ends.
struct Gone<'a> {
    life: &'a Life,
    pool: &'a Weak<Pool>,
    target: &'a Target,
    id: ConnId,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.forget(self.target, self.id);
        }
        self.life.settled.send_replace(true);
    }
}

/// Ready when the server is dead.
async fn watch(life: &Life, mut pings: PingPong, health: &Health) {
    loop {
        tokio::select! {
            () = life.asked.notified() => {}
            () = silence(life, health.ping_after) => {}
        }
        if !is_answered(life, &mut pings, health.ping_timeout).await {
            return;
        }
        // What it has sent before was seen: its settings are the first of that.
        life.settled.send_replace(true);
    }
}

/// Ready when nothing has come for so long.
async fn silence(life: &Life, limit: Option<Duration>) {
    let Some(limit) = limit else { return std::future::pending().await };
    loop {
        life.heard.store(false, Ordering::Relaxed);
        sleep(limit).await;
        if !life.heard.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// Asks the server whether it lives. Its answer may stand behind much else, which shows it as well.
async fn is_answered(life: &Life, pings: &mut PingPong, limit: Duration) -> bool {
    let mut answer = std::pin::pin!(pings.ping(Ping::opaque()));
    loop {
        life.heard.store(false, Ordering::Relaxed);
        match timeout(limit, &mut answer).await {
            Ok(Ok(_)) => return true,
            // The connection has ended, and its own future will say so.
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) if life.heard.load(Ordering::Relaxed) => {}
            Err(_) => return false,
        }
    }
}

impl Meter for Life {
    fn read(&self, _count: usize) {
        self.heard.store(true, Ordering::Relaxed);
    }
}
