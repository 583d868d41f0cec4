//! HTTP/1.1 for programs that want to see and own their connections: a client whose every phase can be traced, a
//! server whose connections can be hijacked.

pub mod connect;
pub mod hijack;
pub mod wire;
