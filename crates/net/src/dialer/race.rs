//! Two ways to a connection, of which the faster is taken.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

/// Begins the fallback when the primary has not come within `delay`, or has failed. The error is the primary's.
/// Who loses is dropped.
pub(super) async fn race<T, E>(
    primary: impl Future<Output = Result<T, E>>,
    delay: Duration,
    fallback: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut primary = pin!(primary);
    let mut head_start = pin!(sleep(delay));
    let early = poll_fn(|cx| match primary.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => head_start.as_mut().poll(cx).map(|()| None),
    });
    match early.await {
        Some(Ok(value)) => return Ok(value),
        Some(Err(error)) => return fallback.await.map_err(|_| error),
        None => {}
    }
    let mut fallback = pin!(fallback);
    let mut fallback_failed = false;
    let mut error = None;
    poll_fn(|cx| {
        if error.is_none() {
            match primary.as_mut().poll(cx) {
                Poll::Ready(Ok(value)) => return Poll::Ready(Ok(value)),
                Poll::Ready(Err(failure)) => error = Some(failure),
                Poll::Pending => {}
            }
        }
        if !fallback_failed {
            match fallback.as_mut().poll(cx) {
                Poll::Ready(Ok(value)) => return Poll::Ready(Ok(value)),
                Poll::Ready(Err(_)) => fallback_failed = true,
                Poll::Pending => {}
            }
        }
        match error.take() {
            Some(error) if fallback_failed => Poll::Ready(Err(error)),
            failure => {
                error = failure;
                Poll::Pending
            }
        }
    })
    .await
}
