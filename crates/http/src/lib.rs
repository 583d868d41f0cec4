//! HTTP/1.1 for programs that want to see and own their connections: a client whose every phase can be traced, a
//! server whose connections can be hijacked.

mod body;
pub mod client;
pub mod connect;
mod error;
pub mod hijack;
mod round_trip;
pub mod server;
pub mod transport;
pub mod wire;

pub use body::Body;
pub use error::{BoxError, Error, Phase};
pub use round_trip::{BoxFuture, RoundTrip};
pub use transport::Transport;
