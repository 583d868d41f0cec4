//! The HTTP/1.1 server, and connections that are taken away from it, over real sockets.
//!
//! Rows and numbers in the comments name behaviour that Go's tests pin down, and our own list of what hijack has to
//! get right. What needs HTTP/2 waits for it: H13 (raw hijack is `NotSupported` there, extended CONNECT is a stream),
//! row 67 (ALPN hands a connection over: whoever terminates TLS picks the protocol before `serve_stream`).

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod bad_input;
mod basics;
mod bodies;
mod faults;
mod hijack;
mod shutdown;
mod states;
mod support;
mod switch;
mod tunnel;
