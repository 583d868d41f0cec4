//! The transport, against servers that follow a script. At the end of each test all their connections are closed.
//!
//! "Row" is a behaviour that Go's own tests pin down. Those of HTTP/2 are in the tests called so.

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
