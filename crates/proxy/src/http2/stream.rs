//! One stream of a connection: a request and its response, as an exchange like any other.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::Request;
use rosn_base::Timer;
use tracing::debug;

use super::Shared;
use super::request::{self, Refused};
use crate::context::Serving;
use crate::goodbye::GOODBYE;
use crate::h2::{Data, Http2Stream};
use crate::http::{Connection, End, Next, Side, exchange, tunnel};

/// A stream whose task has not ended.
struct Live {
    shared: Rc<Shared>,
    id: u32,
}

impl Drop for Live {
    fn drop(&mut self) {
        let left = self.shared.live.get() - 1;
        self.shared.live.set(left);
        if left == 0 {
            self.shared.wake_driver();
        }
    }
}

/// Serves a stream in a task of its own.
pub(super) fn begin(
    shared: &Rc<Shared>,
    serving: Serving,
    request: Request<RecvStream>,
    respond: SendResponse<Data>,
) {
    shared.live.set(shared.live.get() + 1);
    let live = Live { shared: Rc::clone(shared), id: respond.stream_id().as_u32() };
    // Boxed, since tokio copies what it is given, at the end of a task as well as at its beginning. The box is there
    // before the task: that spares a copy of all the room in which there is nothing yet.
    let task = Box::write(Box::new_uninit(), serve(live, serving, request, respond));
    tokio::task::spawn_local(Box::into_pin(task));
}

async fn serve(
    live: Live,
    serving: Serving,
    request: Request<RecvStream>,
    respond: SendResponse<Data>,
) {
    let shared = &*live.shared;
    let (parts, body) = request.into_parts();
    let is_all = body.is_end_stream();
    let content = shared.meter.content();
    let lender = Rc::clone(&shared.lender);
    let stream = Http2Stream::accepted(respond, body, lender, Rc::clone(content));
    let client = Side::Http2(Box::new(stream));
    let mut connection =
        Connection::of_stream(&shared.worker, serving, client, shared.info.clone());
    let mut slot = shared.worker.take_slot();
    let key = || shared.websocket_key();
    let limits = connection.head_limits();
    debug!(connection = shared.info.id, stream = live.id, "a stream began");
    let text = &mut slot.inbound;
    let end = match request::parse(parts, is_all, key, &limits, text, &mut slot.head) {
        Ok(len) => {
            content.set(content.get().saturating_add(len as u64));
            match exchange::run(&mut connection, &mut slot, len).await {
                Next::KeepAlive => End::Close,
                Next::End(end) => end,
            }
        }
        Err(Refused::Status(status, why)) => exchange::refuse(&mut connection, status, why).await,
        Err(Refused::Malformed(why)) => {
            shared.came_to_nothing(live.id, why);
            shared.worker.give_slot(slot);
            if let Side::Http2(stream) = &mut connection.client {
                stream.reset(Reason::PROTOCOL_ERROR);
            }
            return;
        }
    };
    shared.worker.give_slot(slot);
    finish(live, connection, end).await;
}

/// Ends the stream as its exchange has ended.
async fn finish(live: Live, connection: Connection, end: End) {
    let Connection { client, timer, .. } = connection;
    let Side::Http2(mut stream) = client else { return };
    let mut none = Context::from_waker(Waker::noop());
    match end {
        End::Tunnel(opening) => {
            let info = &live.shared.info;
            live.shared.meter.has_tunnel();
            if let Some(stream) = stream.into_tunnel(info.peer.clone(), info.local.clone()) {
                tokio::task::spawn_local(tunnel::serve(opening, stream, timer, live));
            }
        }
        _ if stream.poll_gone(&mut none).is_ready() => {
            live.shared.came_to_nothing(live.id, "it was reset");
        }
        End::Reset => stream.reset(Reason::INTERNAL_ERROR),
        // Dropping it says CANCEL where not all was said.
        End::Close => live.shared.credit.borrow_mut().earn(),
        End::Linger => {
            live.shared.credit.borrow_mut().earn();
            timer.set(live.shared.worker.clock.refresh().saturating_add(GOODBYE));
            linger(&mut stream, &timer).await;
        }
    }
}

/// Waits a moment for the client to see that its request was answered before it was whole, and to stop sending. Dropping
/// the stream says NO_ERROR (RFC 9113 section 8.1), which some, such as curl 7.88, take for a failure while they send.
async fn linger(stream: &mut Http2Stream, timer: &Timer) {
    poll_fn(|cx| {
        if timer.poll_expired(cx.waker()) || stream.poll_gone(cx).is_ready() {
            return Poll::Ready(());
        }
        stream.poll_drop_rest(cx)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a stream takes beside its buffers. It is allocated for each.
    #[test]
    fn the_task_of_a_stream_is_not_large() {
        fn size<A, B, C, D, F>(_: impl Fn(A, B, C, D) -> F) -> usize {
            size_of::<F>()
        }
        assert!(size(serve) <= 4096, "{}", size(serve));
    }
}
