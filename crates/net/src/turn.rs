//! The end of a turn.

use std::pin::pin;
use std::task::Context;

/// Has the task that is polled with `cx` woken again behind the others, those among them whose sockets become ready only
/// now: a waker alone would bring it back before the runtime looks at any socket, some sixty times in a row.
pub(crate) fn end_turn(cx: &mut Context<'_>) {
    // What the future has arranged outlives it.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::io::Write as _;
    use std::rc::Rc;
    use std::task::Poll;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;

    use super::end_turn;

    /// Who has always more to do is no reason for others to wait for what has come long ago.
    #[test]
    fn sockets_are_looked_at_after_each_turn() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_io().build_local(Default::default()).unwrap();
        let turns = runtime.block_on(async {
            let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
            near.write_all(b"x").unwrap();
            far.set_nonblocking(true).unwrap();
            let mut far = UnixStream::from_std(far).unwrap();
            let has_read = Rc::new(Cell::new(false));
            let reads = tokio::task::spawn_local({
                let has_read = Rc::clone(&has_read);
                async move {
                    far.read_exact(&mut [0]).await.unwrap();
                    has_read.set(true);
                }
            });
            let busy = tokio::task::spawn_local(async move {
                let mut turns = 0;
                poll_fn(|cx| {
                    if has_read.get() {
                        return Poll::Ready(turns);
                    }
                    turns += 1;
                    end_turn(cx);
                    Poll::Pending
                })
                .await
            });
            reads.await.unwrap();
            busy.await.unwrap()
        });
        assert!(turns <= 5, "{turns} turns");
    }
}
