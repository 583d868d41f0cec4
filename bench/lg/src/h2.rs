//! HTTP/2 (RFC 9113), as much of it as a generator and its origin need: no field is ever decoded.

mod client;
mod frame;
mod origin;

pub use client::{Requests, exchange, run};
pub use origin::Origin;

/// What a gRPC call carries in each direction: the prefix of five bytes and the message behind it.
const MESSAGE: usize = 5 + 100;

/// A gRPC message of zeros, without compression.
fn message() -> Vec<u8> {
    let mut message = vec![0; MESSAGE];
    message[4] = (MESSAGE - 5) as u8;
    message
}
