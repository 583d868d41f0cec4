//! Ready-made hooks.

mod accept_limit;
mod dial_log;
mod fault;
mod listen_limit;
mod set_up;

pub use accept_limit::{AcceptLimit, AcceptLimits};
pub use dial_log::DialLog;
pub use fault::{Effect, Fault, Faults};
pub use listen_limit::ListenLimit;
pub use set_up::{BindTo, Mark, TransparentListen};
