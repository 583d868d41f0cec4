use std::future::Future;
use std::pin::Pin;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn woken() -> (Arc<Woken>, Waker) {
    let woken = Arc::new(Woken::default());
    (Arc::clone(&woken), Waker::from(woken))
}

fn poll(until: &mut UntilCancelled, waker: &Waker) -> Poll<ContextError> {
    Pin::new(until).poll(&mut Context::from_waker(waker))
}

fn past() -> Instant {
    Instant::now().checked_sub(Duration::from_millis(1)).unwrap()
}

fn cause(context: &RequestContext) -> String {
    context.cause().unwrap().to_string()
}

/// How many children and wakers it holds.
fn held(context: &RequestContext) -> (usize, usize) {
    context.cancellable().unwrap().links().len()
}

#[test]
fn the_background_is_nothing() {
    let background = RequestContext::background();
    assert_eq!(size_of::<RequestContext>(), 8);
    assert_eq!((background.err(), background.deadline()), (None, None));
    assert!(background.cause().is_none() && background.value::<u8>().is_none());
    let (woken, waker) = woken();
    assert_eq!(poll(&mut background.cancelled(), &waker), Poll::Pending);
    assert_eq!((Arc::strong_count(&woken), woken.0.load(Ordering::SeqCst)), (2, 0));
    fn assert_send<T: Send + Sync + Unpin + 'static>() {}
    assert_send::<RequestContext>();
    assert_send::<CancelHandle>();
    assert_send::<UntilCancelled>();
}

#[test]
fn cancelling_goes_down_and_not_up() {
    let (root, _handle) = RequestContext::background().with_cancel();
    let (middle, cancel) = root.with_value(1_u8).with_cancel();
    let below = [middle.with_value("x"), middle.with_timeout(HOUR), middle.with_cancel().0];
    let deep = below[1].with_cancel().0.with_value(2_u8);
    cancel.cancel();
    assert_eq!(root.err(), None);
    for context in below.iter().chain([&middle, &deep]) {
        assert_eq!(context.err(), Some(ContextError::Cancelled));
        assert_eq!(cause(context), "the request was cancelled");
    }
    // What is made of one that has ended has ended.
    let late = deep.with_timeout(HOUR).with_cancel();
    assert_eq!(late.0.err(), Some(ContextError::Cancelled));
    late.1.cancel_cause("late");
    assert_eq!(cause(&late.0), "the request was cancelled");
}

#[test]
fn the_first_cause_counts() {
    let (parent, cancel_parent) = RequestContext::background().with_cancel();
    let (early, cancel_early) = parent.with_cancel();
    let (late, cancel_late) = parent.with_cancel();
    cancel_early.cancel_cause("early");
    cancel_early.cancel_cause("again");
    cancel_parent.cancel_cause("parent");
    cancel_late.cancel_cause("late");
    assert_eq!(cause(&early), "early");
    assert_eq!(cause(&early.with_cancel().0), "early");
    assert_eq!(cause(&parent), "parent");
    assert_eq!(cause(&late), "parent");
}

#[test]
fn dropping_the_handle_cancels_nothing() {
    let (context, cancel) = RequestContext::background().with_cancel();
    drop(cancel);
    assert_eq!(context.err(), None);
    // And a handle whose context is gone does nothing, and holds nothing.
    let (context, cancel) = context.with_cancel();
    drop(context);
    cancel.cancel();
}

#[test]
fn the_earliest_deadline_counts() {
    let near = Instant::now() + HOUR;
    let parent = RequestContext::background().with_deadline(near);
    let child = parent.with_deadline(near + HOUR);
    assert_eq!(child.deadline(), Some(near));
    assert_eq!(child.with_value(1_u8).with_cancel().0.deadline(), Some(near));
    assert!(parent.with_timeout(Duration::from_secs(60)).deadline().unwrap() < near);
    let endless = RequestContext::background().with_timeout(Duration::MAX);
    assert_eq!(endless.deadline(), None);
}

#[test]
fn a_deadline_that_has_passed() {
    let parent = RequestContext::background().with_deadline(past());
    let child = parent.with_cancel().0.with_value(1_u8);
    for context in [&parent, &child] {
        assert_eq!(context.err(), Some(ContextError::DeadlineExceeded));
        assert_eq!(cause(context), "the deadline of the request has passed");
    }
    let (_, waker) = woken();
    let ready = Poll::Ready(ContextError::DeadlineExceeded);
    assert_eq!(poll(&mut child.cancelled(), &waker), ready);
}

/// The deadline was first, although nobody had looked at the clock before.
#[test]
fn whoever_cancels_after_the_deadline_is_late() {
    let (parent, cancel_parent) = RequestContext::background().with_cancel();
    let timed = parent.with_deadline(past());
    let (child, cancel) = timed.with_cancel();
    cancel.cancel_cause("late");
    assert_eq!(child.err(), Some(ContextError::DeadlineExceeded));
    cancel_parent.cancel_cause("late");
    assert_eq!(timed.err(), Some(ContextError::DeadlineExceeded));
    assert_eq!(timed.with_cancel().0.err(), Some(ContextError::DeadlineExceeded));
    assert_eq!(parent.err(), Some(ContextError::Cancelled));
}

#[test]
fn values_are_found_by_type_and_the_newest_first() {
    struct User(&'static str);
    let one = RequestContext::background().with_value(User("a")).with_value(5_u64);
    let two = one.with_cancel().0.with_value(User("b"));
    assert_eq!(one.value::<User>().map(|user| user.0), Some("a"));
    assert_eq!(two.value::<User>().map(|user| user.0), Some("b"));
    assert_eq!((two.value::<u64>(), two.value::<u32>()), (Some(&5), None));
    assert_eq!(format!("{two:?}"), "RequestContext { deadline: None, err: None, .. }");
}

#[test]
fn who_waits_is_woken_once() {
    let (parent, cancel) = RequestContext::background().with_cancel();
    let child = parent.with_timeout(HOUR).with_value(1_u8);
    let ((first, first_waker), (second, second_waker)) = (woken(), woken());
    let mut until = child.cancelled();
    assert_eq!(poll(&mut until, &first_waker), Poll::Pending);
    // Polled by another task, it wakes that one.
    assert_eq!(poll(&mut until, &second_waker), Poll::Pending);
    assert_eq!(held(&child), (0, 1));
    cancel.cancel();
    cancel.cancel();
    assert_eq!((first.0.load(Ordering::SeqCst), second.0.load(Ordering::SeqCst)), (0, 1));
    for _ in 0..2 {
        assert_eq!(poll(&mut until, &first_waker), Poll::Ready(ContextError::Cancelled));
    }
    assert_eq!(Arc::strong_count(&first), 2);
}

/// Also where the deadline had passed and somebody has seen that.
#[test]
fn cancelling_wakes_who_overslept_the_deadline() {
    let (context, cancel) = RequestContext::background().with_cancel();
    let deadline = Instant::now() + Duration::from_millis(20);
    let (timed, _) = context.with_deadline(deadline).with_cancel();
    let (woken, waker) = woken();
    let mut until = timed.cancelled();
    let first = poll(&mut until, &waker);
    while timed.err().is_none() {
        thread::yield_now();
    }
    cancel.cancel();
    assert!(first.is_ready() || woken.0.load(Ordering::SeqCst) == 1);
    assert_eq!(poll(&mut until, &waker), Poll::Ready(ContextError::DeadlineExceeded));
}

/// Nothing is kept of what is gone.
#[test]
fn short_lives_leave_nothing_behind() {
    let (parent, _cancel) = RequestContext::background().with_cancel();
    let (_, waker) = woken();
    for _ in 0..100_000 {
        let (child, _cancel) = parent.with_value(1_u8).with_cancel();
        let mut until = child.with_timeout(HOUR).cancelled();
        assert_eq!(poll(&mut until, &waker), Poll::Pending);
        assert_eq!((held(&parent), held(&child)), ((1, 0), (1, 0)));
        let mut until = parent.cancelled();
        assert_eq!(poll(&mut until, &waker), Poll::Pending);
    }
    assert_eq!(held(&parent), (0, 0));
    let (children, waiting) = parent.cancellable().unwrap().links().capacity();
    assert!(children < 100 && waiting < 100);
}

/// As deep as the stack is not.
#[test]
fn a_long_chain_ends() {
    let (mut context, cancel) = RequestContext::background().with_cancel();
    for index in 0..200_000_u32 {
        context = if index % 2 == 0 { context.with_cancel().0 } else { context.with_value(index) };
    }
    cancel.cancel();
    assert_eq!(context.err(), Some(ContextError::Cancelled));
    drop(context);
}

/// No code of others runs under a lock: a waker and a value that use the tree.
#[test]
fn wakers_and_values_may_use_the_tree() {
    struct Uses(RequestContext, CancelHandle);
    impl Drop for Uses {
        fn drop(&mut self) {
            self.1.cancel();
            let _ = self.0.with_cancel();
        }
    }
    impl Wake for Uses {
        fn wake(self: Arc<Self>) {
            assert!(self.0.is_cancelled() && self.0.with_cancel().0.is_cancelled());
            self.1.cancel();
        }
    }
    let (context, cancel) = RequestContext::background().with_cancel();
    let child = context.with_value(Uses(context.clone(), cancel.clone())).with_timeout(HOUR);
    let waker = Waker::from(Arc::new(Uses(context.clone(), cancel.clone())));
    let mut until = child.cancelled();
    assert_eq!(poll(&mut until, &waker), Poll::Pending);
    drop(waker);
    cancel.cancel();
    drop((child, until));
    assert!(context.is_cancelled());
}

/// Whoever sees an ancestor ended sees all below it ended, with one cause forever, whoever else cancels meanwhile.
#[test]
fn all_threads_see_one_end() {
    for _ in 0..200 {
        let (root, cancel) = RequestContext::background().with_cancel();
        let (middle, cancel_middle) = root.with_cancel();
        let leaf = middle.with_timeout(HOUR);
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for (handle, text) in [(&cancel, "root"), (&cancel_middle, "middle")] {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    handle.cancel_cause(text);
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    barrier.wait();
                    while !root.is_cancelled() {
                        thread::yield_now();
                    }
                    assert!(middle.is_cancelled() && leaf.is_cancelled());
                    let seen = (cause(&middle), cause(&leaf));
                    let late = middle.with_cancel().0;
                    assert_eq!((cause(&middle), cause(&leaf)), seen);
                    assert_eq!(cause(&late), seen.0);
                });
            }
        });
        assert_eq!(cause(&root), "root");
        assert_eq!((held(&root), held(&middle)), ((0, 0), (0, 0)));
    }
}

/// A thread that waits while another one cancels never misses it.
#[test]
fn no_wake_up_is_lost() {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    for _ in 0..500 {
        let (root, cancel) = RequestContext::background().with_cancel();
        let waiter = thread::spawn(move || {
            let mut until = root.with_timeout(HOUR).with_cancel().0.cancelled();
            drop(root);
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            while poll(&mut until, &waker).is_pending() {
                thread::park();
            }
        });
        cancel.cancel();
        waiter.join().unwrap();
    }
}
