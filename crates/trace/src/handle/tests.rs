use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{Callbacks, Cancelled, DialId};

/// Writes its name and the kind of the event to a list.
struct Named(&'static str, Interest, Arc<Mutex<Vec<String>>>);

impl ClientTrace for Named {
    fn interest(&self) -> Interest {
        self.1
    }

    fn event(&self, _: Instant, event: &Event<'_>) {
        let event = match event {
            Event::DnsStart { .. } => "start",
            Event::DnsDone { error: None, .. } => "done",
            Event::DnsDone { error: Some(error), .. } if error.is::<Cancelled>() => "cancelled",
            _ => "other",
        };
        self.2.lock().unwrap().push(format!("{} {event}", self.0));
    }
}

fn dns<'a>() -> Event<'a> {
    Event::DnsStart { dial: DialId::next(), host: "a" }
}

fn seen(list: &Arc<Mutex<Vec<String>>>) -> Vec<String> {
    std::mem::take(&mut *list.lock().unwrap())
}

/// Rows 1 and 2, T1.
#[test]
fn the_newer_is_first_and_neither_is_changed() {
    let list = Arc::new(Mutex::new(Vec::new()));
    let old = TraceHandle::new(Named("old", Interest::ALL, Arc::clone(&list)));
    let new = Arc::new(Named("new", Interest::DNS, Arc::clone(&list)));
    let both = TraceHandle::over(Arc::clone(&new), &old);
    both.emit(Interest::DNS, dns);
    assert_eq!(seen(&list), ["new start", "old start"]);
    old.emit(Interest::DNS, dns);
    assert_eq!(seen(&list), ["old start"]);
    // Used for a second request it does not pile up, and twice in a chain it does not recur.
    let again = TraceHandle::over(Arc::clone(&new), &both);
    again.emit(Interest::DNS, dns);
    assert_eq!(seen(&list), ["new start", "new start", "old start"]);
    // What only one wants, only that one gets.
    again.emit(Interest::TLS, dns);
    assert_eq!(seen(&list), ["old start"]);
}

/// Row 4, T3.
#[test]
fn what_nobody_wants_is_not_built() {
    TraceHandle::none().emit(Interest::ALL, || unreachable!());
    let trace = TraceHandle::new(Callbacks::new().on(Interest::TLS, |_, _| unreachable!()));
    trace.emit(Interest::DNS, || unreachable!());
    drop(trace.begin(Interest::DNS, || unreachable!()));
    assert_eq!(size_of::<TraceHandle>(), 8);
    assert_eq!(format!("{trace:?} {:?}", TraceHandle::none()), "TraceHandle(1) TraceHandle(0)");
}

/// T4.
#[test]
fn each_start_has_one_done() {
    let list = Arc::new(Mutex::new(Vec::new()));
    let trace = TraceHandle::new(Named("it", Interest::ALL, Arc::clone(&list)));
    let dial = DialId::next();
    trace.begin(Interest::DNS, dns).done(|| Event::DnsDone {
        dial,
        host: "a",
        addrs: &[],
        coalesced: false,
        error: None,
    });
    assert_eq!(seen(&list), ["it start", "it done"]);
    drop(trace.begin(Interest::DNS, dns));
    assert_eq!(seen(&list), ["it start", "it cancelled"]);
}

#[test]
fn a_pending_phase_may_wait_in_a_task() {
    fn assert_send<T: Send + Sync>() {}
    assert_send::<Pending<'_>>();
    assert_send::<TraceHandle>();
}

#[test]
fn callbacks_get_what_they_asked_for() {
    let count = Arc::new(AtomicUsize::new(0));
    let counting = |by: usize| {
        let count = Arc::clone(&count);
        move |_: Instant, _: &Event<'_>| {
            count.fetch_add(by, Ordering::Relaxed);
        }
    };
    let callbacks = Callbacks::new()
        .on(Interest::DNS, counting(1))
        .on(Interest::TLS, counting(10))
        .on(Interest::ALL, counting(100));
    TraceHandle::new(callbacks).emit(Interest::DNS, dns);
    assert_eq!(count.load(Ordering::Relaxed), 101);
}

#[test]
fn numbers_are_never_used_twice() {
    let ids: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(|| (0..1000).map(|_| DialId::next()).collect::<Vec<_>>()))
        .collect();
    let mut ids: Vec<_> = ids.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4000);
}
