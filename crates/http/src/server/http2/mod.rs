//! HTTP/2 (RFC 9113): a task for the connection, and one for each request.
//!
//! The `h2` crate does frames, HPACK, flow control and the states of streams; it bounds SETTINGS, PING, CONTINUATION and
//! small DATA frames. Here is the rest of what a client may cost: streams at a time, fields, streams that come to
//! nothing, silence.

mod body;
mod driver;
mod exchange;
mod preface;
mod stream;

pub(super) use driver::serve;
pub(crate) use exchange::Exchange;
pub(super) use preface::{Begins, begins};
