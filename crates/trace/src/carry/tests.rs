use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;

use super::*;
use crate::{Callbacks, Event, Interest};

/// T1, T3: a request without a trace; one with two, of which the newer is first; and a copy of it.
#[test]
fn a_request_carries_its_traces() {
    let mut request = Request::new(());
    assert!(!request.trace().wants(Interest::ALL));
    let turn = Arc::new(AtomicUsize::new(0));
    for expected in [1, 0] {
        let turn = Arc::clone(&turn);
        request.with_trace(Callbacks::new().on(Interest::WRITE, move |_, _| {
            assert_eq!(turn.fetch_add(1, Ordering::Relaxed) % 2, expected);
        }));
    }
    request.trace().emit(Interest::WRITE, || Event::WroteHeaders);
    let (parts, ()) = request.clone().into_parts();
    parts.trace().emit(Interest::WRITE, || Event::WroteHeaders);
    parts.extensions.trace().emit(Interest::WRITE, || Event::WroteHeaders);
    assert_eq!(turn.load(Ordering::Relaxed), 6);
}

#[test]
fn a_request_carries_its_context() {
    let mut request = Request::new(());
    assert_eq!(request.context().err(), None);
    let (context, cancel) = RequestContext::background().with_cancel();
    request.set_context(context);
    let copy = request.clone();
    cancel.cancel();
    assert!(request.context().is_cancelled() && copy.context().is_cancelled());
    request.set_context(RequestContext::background());
    assert!(!request.context().is_cancelled());
}
