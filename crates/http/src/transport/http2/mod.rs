//! HTTP/2: many requests on one connection, which has a task of its own.

mod connection;
mod driver;
mod exchange;
mod head;
mod response;
mod upload;

pub(super) use connection::{Multiplexed, Place};
pub(super) use driver::Health;
pub(super) use exchange::Exchange;
