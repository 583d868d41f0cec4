//! Messages on a stream: what the client and the server of this crate and the proxy share below their own ways of
//! driving a connection.

mod body;
mod payload;
mod writer;

pub use body::{BodyBuffer, poll_read};
pub use payload::Payload;
pub use writer::{MessageWriter, WriteError};
