//! HTTP/2 to endpoints: few connections, with many streams each.
//!
//! A [`Pool`] has a worker's connections to one endpoint. A request asks for a [`Place`], the right to one stream of a
//! connection, and begins its stream there. No more places are given than the endpoint allows streams, so that no
//! request waits inside the `h2` crate, where nobody could time it or send it elsewhere. Each connection has a task of
//! its own, which is also the one that dials: a request that gives up does not take the dial with it.

mod connection;
mod driver;
mod obtain;
mod pool;

#[cfg(test)]
mod tests;

pub(crate) use connection::Place;
pub(super) use pool::Pools;
