//! The transport over HTTP/2, against servers made of the `h2` crate or of frames. "Row" is a behaviour that Go's own
//! tests pin down.

#![allow(clippy::unwrap_used)]

mod connect;
mod events;
mod faults;
mod frames;
mod interim;
mod peer;
mod pool;
mod refusals;
mod streams;
#[path = "../transport/support.rs"]
#[allow(dead_code)]
mod support;
