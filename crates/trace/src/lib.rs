//! What happens while an outgoing request is made: resolving, connecting, each handshake, the pool, sending and the answer;
//! and how long the request may go on.
//!
//! Whoever wants to know implements [`ClientTrace`], or takes one of those that there are: [`Timings`] records when each
//! phase began and ended and what failed, [`Callbacks`] is made of closures, `TracingTrace` (feature `tracing`) opens
//! spans. A [`TraceHandle`] carries it to whoever does the work. One function gets every [`Event`]; what nobody is
//! interested in is not even built, and no trace costs nothing.
//!
//! A request carries its trace, and its [`RequestContext`] (deadline, cancellation and values), in its extensions:
//! [`RequestTraceExt`]. From there on both are passed as arguments. Nothing is kept in a global or with a task or thread,
//! so nothing is lost where a dial goes on in a task of its own.
//!
//! # What to rely on
//!
//! * Each `*Start` event is followed by exactly one `*Done`, also where the attempt is cancelled: [`TraceHandle::begin`]
//!   sees to it.
//! * Events may come at the same time from several threads, and after the request has been answered or has failed: the
//!   attempt that lost a race is reported when it ends. [`DialId`], the number of the try and [`ConnId`] say whose they
//!   are.
//! * [`Event::FirstResponseByte`] may come before [`Event::WroteRequest`]: a server may answer before it has read the
//!   request, and HTTP/2 sends and receives independently.
//! * The trace runs on the thread that does the work, so it must neither block nor panic.
//!
//! # A request
//!
//! What a client reports of a request to a new connection, in the usual order:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use http::StatusCode;
//! use rosn_base::Addr;
//! use rosn_trace::{
//!     Callbacks, ConnId, DialId, Event, GotConnInfo, Interest, RequestTraceExt, Timings,
//! };
//!
//! // Whoever makes the request:
//! let timings = Arc::new(Timings::start());
//! let mut request = http::Request::get("http://127.0.0.1/").body(())?;
//! request.with_trace(Arc::clone(&timings));
//! // The newer one is called first.
//! request.with_trace(Callbacks::new().on_got_conn(|conn| println!("reused: {}", conn.reused)));
//!
//! // The client, which looks for a connection:
//! let trace = request.trace();
//! trace.emit(Interest::POOL, || Event::GetConn { authority: "127.0.0.1:80", attempt: 1 });
//! // dials, since there is none; dropping `connect` would say that this was given up;
//! let (dial, addr) = (DialId::next(), Addr::Ip("127.0.0.1:80".parse()?));
//! let connect =
//!     trace.begin(Interest::CONNECT, || Event::ConnectStart { dial, try_no: 1, addr: &addr });
//! let (result, lost_race) = (Ok(()), false);
//! connect.done(|| Event::ConnectDone { dial, try_no: 1, addr: &addr, result, lost_race });
//! let conn = ConnId::next();
//! let info = GotConnInfo {
//!     conn,
//!     dial: Some(dial),
//!     local: None,
//!     peer: Some(&addr),
//!     reused: false,
//!     was_idle: false,
//!     idle: Duration::ZERO,
//!     requests_before: 0,
//! };
//! trace.emit(Interest::POOL, || Event::GotConn(&info));
//! // sends the request;
//! trace.emit(Interest::WRITE, || Event::WroteHeaders);
//! trace.emit(Interest::WRITE, || Event::WroteRequest { bytes: 0, body_sent: true, result: Ok(()) });
//! // and is answered.
//! trace.emit(Interest::READ, || Event::FirstResponseByte);
//! trace.emit(Interest::READ, || Event::ResponseHead { status: StatusCode::OK });
//! trace.emit(Interest::READ, || Event::ResponseBodyDone { bytes: 512, result: Ok(()) });
//! trace.emit(Interest::POOL, || Event::PutIdle { conn, result: Ok(()) });
//!
//! // Later, for a log:
//! let snapshot = timings.close();
//! assert_eq!((snapshot.attempts, snapshot.tries, snapshot.failed_phase()), (1, 1, None));
//! assert_eq!(snapshot.conn.map(|conn| conn.reused), Some(false));
//! println!("{}", snapshot.server_timing()); // connect;dur=0.1, write;dur=0.02, wait;dur=1.7, …
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Differences from Go's `httptrace`
//!
//! They are deliberate:
//!
//! * Events are values of one enum and not a struct of functions, so that a new one breaks nobody, and a recorder is one
//!   `match`. [`Callbacks`] has the closures.
//! * Traces are chained without changing them, so one may be used for several requests, or twice for one. Of several
//!   vetoes to an interim response the first counts; in Go an older trace overrules a newer one.
//! * [`Event::PutIdle`] always comes, with the reason as a [`NotReused`] where the connection is not kept; Go is silent
//!   when the body was not read to its end, the server closes, or the request was not sent whole. It comes with HTTP/2,
//!   too.
//! * [`Event::WroteRequest`] means that the system has it, not a buffer of ours, and says whether the body was sent.
//! * What Go does not report is: waiting for room in the pool, that there is no connection, a proxy's handshake, a
//!   retry, the response's head and the end of its body, an upgrade, that a request has failed.
//! * [`GotConnInfo`] has numbers and addresses, never the connection itself. A connection that was dialed for another
//!   request and never used is `reused: false, was_idle: true`; in Go it counts as reused.
//! * [`Event::DnsDone`] is `coalesced` for those who shared another's answer, not for the one who asked.
//! * Every event of a dial has a [`DialId`] and the number of the try: Go's cannot be told apart where two are under way.
//!
//! And from Go's `context`: [`RequestContext`] has no timer of its own, values are found by their type, and a deadline
//! needs no cancelling to be freed.

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
