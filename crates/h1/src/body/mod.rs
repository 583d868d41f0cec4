//! Bodies, in and out of their framing.

mod decode;
mod encode;
mod extension;
mod trailer;

pub use decode::{BodyDecoder, Decoded};
pub use encode::{BodyEncoder, Frame};
pub use trailer::is_forbidden_trailer;
