//! The server, and connections that are taken away from it, over real sockets.
//!
//! Rows and numbers in the comments name behaviour that Go's tests pin down, and our own list of what hijack has to
//! get right.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod bad_input;
mod basics;
mod bodies;
mod faults;
mod hijack;
mod http2;
mod shutdown;
mod states;
mod support;
mod switch;
mod tunnel;
