//! What every rosn crate shares, and nothing that needs an async runtime.
//!
//! * [`Addr`]: where to listen or connect, as configurations write it.
//! * [`Buf`] and [`BufPool`]: a byte buffer that is filled at the end and consumed at the front,
//!   and the free list that hands it out again.
//! * [`Clock`]: one reading of the time per wake-up.
//! * [`Credit`]: what a connection of HTTP/2 may spend on streams that come to nothing.
//! * [`Wheel`]: a coarse timer wheel whose deadlines are plain numbers, moved for free.
//! * [`mod@stats`]: counters that each worker writes alone and a scrape adds up.
//!
//! ```
//! use rosn_base::Addr;
//!
//! let addr: Addr = "127.0.0.1:2045".parse()?;
//! assert_eq!(addr.port(), Some(2045));
//! let socket: Addr = "unix:/run/app.sock".parse()?;
//! assert_eq!(socket.to_string(), "unix:/run/app.sock");
//! # Ok::<(), rosn_base::AddrError>(())
//! ```

mod addr;
mod buf;
mod clock;
mod credit;
pub mod stats;
mod wheel;

pub use addr::{Addr, AddrError};
pub use buf::{Buf, BufPool, Lent};
pub use clock::Clock;
pub use credit::Credit;
pub use wheel::{Timer, Wheel};
