//! The body of a request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Exchange;
use crate::Error;

/// The body of a request: what the client sends, when it is asked for.
#[derive(Debug)]
pub(super) struct IncomingBody(pub(super) Arc<Exchange>);

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.poll_body(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.body_ended()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.body_size()
    }
}
