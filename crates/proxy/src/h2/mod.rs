//! Messages on streams of HTTP/2, in the form that the rest of the proxy has them in.
//!
//! Inside the proxy a head is the text of HTTP/1.1, whatever it came as: routing, edits, logs and retries know one
//! form. [`head`] makes that text from the fields of HTTP/2 and back; a [`Http2Stream`] reads and writes bodies, with
//! the flow control of the stream: what nobody takes is not asked for.

mod data;
mod extended;
mod gather;
pub(crate) mod head;
mod held;
mod outgoing;
mod stream;
mod turn;

pub(crate) use data::{Data, Lender};
pub(crate) use gather::Gather;
pub(crate) use outgoing::Outgoing;
pub(crate) use stream::{Filled, Http2Stream, is_unsayable};
pub(crate) use turn::Turn;
