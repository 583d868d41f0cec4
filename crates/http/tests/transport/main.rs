//! The transport, against servers that follow a script. At the end of each test all their connections are closed.
//!
//! "Row" is a behaviour that Go's own tests pin down. Those of HTTP/2 alone wait for it: 9 (no GotConn twice for a
//! pooled h2 connection), 10 (a broken h2 connection is not cached), 14 (a connection count is taken back once), 23
//! (`ExpectContinueTimeout` over h2), 69 (a request with Upgrade goes by HTTP/1.1, as all do today); T21 (h2 promises no order).

#![allow(clippy::unwrap_used)]

mod bodies;
mod cancel;
mod events;
mod faults;
mod heads;
mod hostile;
mod interim;
mod pool;
mod retry;
mod support;
mod upgrade;
