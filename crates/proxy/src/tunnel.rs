//! Drives a tunnel: deadlines, keep-alive, counting. What `tcp_proxy` and connections that stop being HTTP share.

use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rosn_base::Timer;
use rosn_net::{Side, Tunnel, TunnelEnd, TunnelReason};

use crate::context::Worker;
use crate::upstream;

/// After this time, in nanoseconds, a dead upstream is looked for.
const YOUNG: u64 = 1_000_000_000;

/// What a tunnel may take, in nanoseconds; [`NEVER`](upstream::NEVER) = no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How long it may be without bytes in either direction.
    pub(crate) idle: u64,
    /// How long it may last.
    pub(crate) lifetime: u64,
}

/// Moves bytes until both sides have ended or a bound is reached. `on_moved` gets the bytes that were passed on so far
/// whenever there are more: from the client to the upstream, and back. Then the tunnel is to be dropped.
///
/// Cancel safety: dropped, it can be called again with the same tunnel; the bounds begin anew.
pub(crate) async fn drive(
    worker: &Worker,
    tunnel: &mut Tunnel,
    held: &upstream::Held,
    timer: &Timer,
    bounds: Bounds,
    mut on_moved: impl FnMut((u64, u64)),
) -> TunnelEnd {
    let mut counted = (0, 0);
    let begin = worker.clock.refresh();
    let mut active = begin;
    // Short connections need no probes, and are spared the system calls that ask for them.
    let (young_until, mut young) = (begin.saturating_add(YOUNG), true);
    let last = begin.saturating_add(bounds.lifetime);
    poll_fn(|cx| {
        let end = tunnel.poll(cx, &mut worker.copy_buffer());
        let moved = tunnel.moved();
        if moved != counted {
            // The last reading may be from long before this wake-up.
            active = worker.clock.refresh();
            on_moved(moved);
            counted = moved;
        }
        if let Poll::Ready(end) = end {
            return Poll::Ready(end);
        }
        let due = active.saturating_add(bounds.idle).min(last);
        let now = worker.clock.now();
        if now >= due {
            let is_last = now >= last;
            let reason = if is_last { TunnelReason::Lifetime } else { TunnelReason::Idle };
            return Poll::Ready(TunnelEnd { a_to_b: moved.0, b_to_a: moved.1, reason });
        }
        if young && now >= young_until {
            young = false;
            if let Some(keep_alive) = held.keep_alive() {
                tunnel.set_keep_alive(keep_alive);
            }
        }
        let wake = if young { due.min(young_until) } else { due };
        if timer.deadline() != Some(wake) {
            timer.set(wake);
        }
        timer.poll_expired(cx.waker());
        Poll::Pending
    })
    .await
}

/// Why a tunnel between a client and an upstream ended.
pub(crate) fn in_words(reason: &TunnelReason) -> Cow<'static, str> {
    let side = |side: &Side| if *side == Side::A { "client" } else { "upstream" };
    match reason {
        TunnelReason::Eof => "both sides ended".into(),
        TunnelReason::Reset(by) => format!("the {} reset it", side(by)).into(),
        TunnelReason::Idle => "no bytes came for too long".into(),
        TunnelReason::Lifetime => "it lasted as long as it may".into(),
        TunnelReason::Shutdown => "this end is shutting down".into(),
        TunnelReason::Error(by, error) => {
            format!("the connection of the {} failed: {error}", side(by)).into()
        }
    }
}

/// Whether the peer has ended the connection, be it without manners.
pub(crate) fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    let kinds = [BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof];
    kinds.contains(&error.kind())
}
