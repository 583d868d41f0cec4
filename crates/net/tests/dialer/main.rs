//! Dialing names: resolving, racing the address families, deadlines, and what is traced of it.
//!
//! Row numbers are those of the list of Go's own tests. Where time matters, it is that of a paused clock.

#![allow(missing_docs, clippy::unwrap_used)]

mod cancelled;
mod hooked;
mod names;
mod race;
mod real;
mod retried;
mod script;
mod traced;
