//! The client above a transport: redirects, cookies, limits of time.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod cookies;
mod ends;
mod redirects;
mod script;
mod wire;
