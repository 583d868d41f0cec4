//! HTTP/2 from clients (RFC 9113): a task for each connection, and one for each of its streams.
//!
//! The `h2` crate does frames, HPACK, flow control and the states of streams. Here is what makes a server for strangers
//! of it: how much a client may cost, and when a connection ends. A stream is an exchange like any other: see
//! [`http`](crate::http).
//!
//! What a client may do, and what bounds it:
//!
//! * Streams at a time: `max_concurrent_streams`; more are refused (REFUSED_STREAM).
//! * A head: `max_head_bytes` and `max_headers`; larger ones are answered with 431, and those that are larger by far end
//!   the connection, as does a head in too many CONTINUATION frames.
//! * Streams that come to nothing, since the client resets them or makes this end reset them: see [`Credit`].
//! * SETTINGS, PING and refused streams: each answer has to be taken before more is read.
//! * Frames that are of no use to a stream: 8 MiB, and eight times the bytes of what is.
//! * Empty and small DATA frames: counted by `h2`.
//! * A window that stays shut, and a client that does not read: each exchange has its own deadlines.
//! * Silence: `header_timeout` before the preface, the idle timeout without streams.
//!
//! What ends a connection for a flood is GOAWAY with ENHANCE_YOUR_CALM.

mod driver;
mod meter;
mod request;
mod stream;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use h2::server::{Builder, Connection};
use rosn_base::{Credit, Timer};
use rosn_config::checked::Http2Settings;
use rosn_net::{Metered, Stream};
use tracing::debug;

use crate::client::ClientInfo;
use crate::context::{Admission, Serving, Worker};
use crate::goodbye;
use crate::h2::{Data, Gather, Lender};
use crate::snapshot::Service;
use crate::upstream::nanos;
use driver::{Driver, End};
use meter::Meter;

/// Bytes that a stream may hold of what its client does not take.
const SEND_BUFFER: usize = 64 << 10;
/// What small DATA frames may cost beside their content, at 256 bytes for each that waits to be read: as many as a
/// connection's window has room for, if they have 60 bytes or more.
const SMALL_FRAMES: usize = 4 << 20;
/// What the streams of a connection share with its driver.
struct Shared {
    worker: Rc<Worker>,
    info: ClientInfo,
    meter: Rc<Meter>,
    lender: Rc<Lender>,
    /// Streams whose tasks have not ended.
    live: Cell<usize>,
    credit: RefCell<Credit>,
    is_exhausted: Cell<bool>,
    /// Wakes the driver.
    driver: Cell<Option<Waker>>,
    /// The connection counts as long as one of its streams does.
    _admission: Admission,
}

/// Serves one connection until it ends. The client has said, or is about to say, the preface: with prior knowledge or
/// after ALPN.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    serving: Serving,
    stream: Stream,
    info: ClientInfo,
    admission: Admission,
) {
    let Service::Http { proxy, .. } = &serving.listener().service else { return };
    let (settings, own_head) = (proxy.http2, proxy.max_head_bytes);
    let limits = serving.snapshot().limits;
    let timer = worker.wheel.timer();
    let meter = Meter::new(&worker, serving.listener());
    let peer = info.peer.clone();
    timer.set(worker.clock.now().saturating_add(nanos(limits.header_timeout)));
    let builder = builder(&settings, own_head.unwrap_or(limits.max_head_bytes));
    let metered = Metered::new(stream, Rc::clone(&meter));
    let gather = Gather::new(metered, worker.upstream_buffers.clone());
    let handshake = handshake(&builder, gather.clone(), &timer, &worker).await;
    let credit = RefCell::new(Credit::new(worker.clock.now()));
    let shared = Rc::new(Shared {
        worker,
        info,
        meter: Rc::clone(&meter),
        lender: gather.lender(),
        live: Cell::new(0),
        credit,
        is_exhausted: Cell::new(false),
        driver: Cell::default(),
        _admission: admission,
    });
    let end = match handshake {
        Ok(connection) => {
            let shared = Rc::clone(&shared);
            let mut driver = Driver::new(connection, gather, shared, serving, timer, settings);
            poll_fn(|cx| driver.poll(cx)).await
        }
        Err(end) => {
            // What is below has to be left for the goodbye.
            drop(gather);
            end
        }
    };
    let id = shared.info.id;
    match &end {
        End::Closed => debug!(connection = id, %peer, "an HTTP/2 connection ended"),
        End::Dead(why) => debug!(connection = id, %peer, "an HTTP/2 connection was cut: {why}"),
        End::Flood(what) => {
            debug!(connection = id, %peer, "an HTTP/2 connection was ended for a flood: {what}");
            meter.count(|stats| stats.http2_flood_total.add(1));
        }
        End::Failed(error) => {
            debug!(connection = id, %peer, "an HTTP/2 connection failed: {error}");
            if error.is_library() {
                meter.count(|stats| stats.http2_error_total.add(1));
            }
        }
    }
    let lingers = match &end {
        End::Closed => true,
        End::Failed(error) => error.is_library(),
        // It had its say.
        End::Flood(_) | End::Dead(_) => false,
    };
    if let (true, Some(mut stream)) = (lingers, meter.take_rest()) {
        let timer = shared.worker.wheel.timer();
        goodbye::linger(&mut stream, &timer, &shared.worker).await;
    }
}

fn builder(settings: &Http2Settings, head_bytes: usize) -> Builder {
    // Twice what is let through, so that most heads that are too large are seen here, answered and logged.
    let header_list = u32::try_from(head_bytes.saturating_mul(2)).unwrap_or(u32::MAX);
    let streams = settings.max_concurrent_streams;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(streams)
        .initial_window_size(settings.initial_stream_window)
        .initial_connection_window_size(settings.initial_connection_window)
        .max_header_list_size(header_list)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SMALL_FRAMES)
        // A client may think better of all that it has just asked for.
        .max_pending_accept_reset_streams(streams as usize)
        .max_concurrent_reset_streams(streams as usize)
        .enable_connect_protocol();
    builder
}

/// Sends our SETTINGS and waits for the client's preface.
async fn handshake(
    builder: &Builder,
    stream: Gather<Metered<Rc<Meter>>>,
    timer: &Timer,
    worker: &Worker,
) -> Result<Connection<Gather<Metered<Rc<Meter>>>, Data>, End> {
    let mut handshake = std::pin::pin!(builder.handshake(stream));
    poll_fn(|cx| {
        if timer.poll_expired(cx.waker()) {
            return Poll::Ready(Err(End::Dead("its preface did not come in time")));
        }
        let done = handshake.as_mut().poll(cx).map_err(End::of);
        if done.is_pending() && worker.is_draining() {
            return Poll::Ready(Err(End::Dead("it has said nothing")));
        }
        done
    })
    .await
}

impl Shared {
    /// Whether a flood has used up what the connection may cost; from then on it is not asked again.
    fn take_exhausted(&self, waker: &Waker) -> bool {
        let driver = self.driver.take();
        let same = driver.filter(|driver| driver.will_wake(waker));
        self.driver.set(Some(same.unwrap_or_else(|| waker.clone())));
        self.is_exhausted.replace(false)
    }

    /// A stream was reset before its response was whole.
    fn came_to_nothing(&self, stream: u32, why: &'static str) {
        let connection = self.info.id;
        debug!(connection, stream, peer = %self.info.peer, "a stream came to nothing: {why}");
        self.meter.count(|stats| stats.http2_reset_total.add(1));
        let has_credit = self.credit.borrow_mut().spend(self.worker.clock.now());
        if !has_credit {
            self.is_exhausted.set(true);
            self.wake_driver();
        }
    }

    fn wake_driver(&self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// A stream had no room beside the others.
    fn refused(&self, stream: u32) {
        debug!(connection = self.info.id, stream, peer = %self.info.peer, "a stream was refused");
        self.meter.count(|stats| stats.http2_refused_total.add(1));
    }

    /// A key for a WebSocket's handshake (RFC 6455 section 4.1).
    fn websocket_key(&self) -> String {
        let nonce = self.worker.rng.borrow_mut().u128(..).to_ne_bytes();
        STANDARD.encode(nonce)
    }
}
