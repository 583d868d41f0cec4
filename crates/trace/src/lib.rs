//! What happens while an outgoing connection is made: resolving, connecting, and each handshake.
//!
//! Whoever wants to know implements [`ClientTrace`] and hands a [`TraceHandle`] to what dials. One function gets every
//! [`Event`]; what it is not interested in is not even built, and no trace costs nothing.
//!
//! * Each `*Start` event is followed by exactly one `*Done`, also where the attempt is cancelled: [`TraceHandle::begin`]
//!   sees to it.
//! * Events may come at the same time from several threads, and after the dial has succeeded or failed: the attempt
//!   that lost a race is reported when it ends. [`DialId`] and the number of the try say whose they are.
//! * The trace runs on the thread that does the work, so it must neither block nor panic.
//!
//! [`Timings`] records how long each phase took, [`Callbacks`] makes a trace of closures.
//!
//! ```
//! use std::sync::Arc;
//! use rosn_base::Addr;
//! use rosn_trace::{Callbacks, DialId, Event, Interest, Timings, TraceHandle};
//!
//! let timings = Arc::new(Timings::start());
//! let shown = Callbacks::new().on(Interest::CONNECT, |_, event| println!("{event:?}"));
//! // The newer one is called first.
//! let trace = TraceHandle::over(shown, &TraceHandle::new(Arc::clone(&timings)));
//!
//! // What dials does this:
//! let (dial, addr) = (DialId::next(), Addr::Ip("127.0.0.1:80".parse()?));
//! let connect =
//!     trace.begin(Interest::CONNECT, || Event::ConnectStart { dial, try_no: 1, addr: &addr });
//! connect.done(|| Event::ConnectDone {
//!     dial,
//!     try_no: 1,
//!     addr: &addr,
//!     result: Ok(()),
//!     lost_race: false,
//! });
//!
//! let snapshot = timings.close();
//! assert_eq!(snapshot.tries, 1);
//! assert!(snapshot.connect.and_then(|span| span.duration()).is_some());
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

mod callbacks;
mod carry;
mod context;
mod event;
mod handle;
mod interest;
mod pending;
mod timings;
#[cfg(feature = "tracing")]
mod tracing_trace;

pub use callbacks::Callbacks;
pub use carry::RequestTraceExt;
pub use context::{CancelHandle, ContextError, RequestContext, SharedError, UntilCancelled};
pub use event::{Cancelled, ConnId, DialId, ErrorRef, Event, GotConnInfo, NotReused, TlsInfo};
pub use handle::{BoxError, ClientTrace, TraceHandle};
pub use interest::Interest;
pub use pending::Pending;
pub use timings::{Connect, Outcome, Phase, Snapshot, Span, Timings, UsedConn};
#[cfg(feature = "tracing")]
pub use tracing_trace::TracingTrace;
