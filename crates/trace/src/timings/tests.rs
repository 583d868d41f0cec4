use std::io;

use rosn_base::Addr;

use super::*;
use crate::{ConnId, DialId, GotConnInfo, Interest, TraceHandle};

mod request;

fn start(addr: &Addr, try_no: u32) -> Event<'_> {
    Event::ConnectStart { dial: DialId::next(), try_no, addr }
}

fn done<'a>(addr: &'a Addr, result: Result<(), ErrorRef<'a>>, lost_race: bool) -> Event<'a> {
    Event::ConnectDone { dial: DialId::next(), try_no: 1, addr, result, lost_race }
}

/// T10, T25: the loser of a race ends after the winner, and after the recording.
#[test]
fn the_loser_of_a_race_does_not_count() {
    let timings = Timings::start();
    let at = |ms| timings.start + Duration::from_millis(ms);
    let addr = Addr::Ip("[::1]:80".parse().unwrap());
    timings.event(at(10), &start(&addr, 1));
    timings.event(at(310), &start(&addr, 2));
    let open = timings.snapshot().connect.unwrap();
    assert_eq!(open.duration(), None);
    let error = io::Error::from(io::ErrorKind::ConnectionRefused);
    timings.event(at(320), &done(&addr, Err(&error), false));
    timings.event(at(330), &done(&addr, Ok(()), false));
    timings.event(at(700), &done(&addr, Err(&Cancelled), true));
    let snapshot = timings.close();
    assert_eq!(snapshot.connect.unwrap().duration(), Some(Duration::from_millis(320)));
    assert_eq!((snapshot.tries, snapshot.failures), (2, 1));
    assert_eq!((snapshot.dns, snapshot.tls), (None, None));
    timings.event(at(900), &done(&addr, Ok(()), false));
    timings.event(at(900), &start(&addr, 3));
    assert_eq!(timings.snapshot(), snapshot);
    assert!(timings.is_closed());
}

/// T24.
#[test]
fn a_cancelled_phase_ends_and_is_no_failure() {
    let timings = Timings::start();
    let addr = Addr::Ip("[::1]:80".parse().unwrap());
    timings.event(timings.start, &start(&addr, 1));
    timings.event(timings.start, &done(&addr, Err(&Cancelled), false));
    let snapshot = timings.snapshot();
    assert_eq!(snapshot.connect.unwrap().duration(), Some(Duration::ZERO));
    assert_eq!(snapshot.failures, 0);
}

#[test]
fn it_may_be_read_while_events_come() {
    let timings = std::sync::Arc::new(Timings::start());
    let addr = Addr::Ip("[::1]:80".parse().unwrap());
    let writers: Vec<_> = (0..2)
        .map(|_| {
            let (timings, addr) = (std::sync::Arc::clone(&timings), addr.clone());
            std::thread::spawn(move || {
                for _ in 0..1000 {
                    timings.event(Instant::now(), &start(&addr, 1));
                    timings.event(Instant::now(), &done(&addr, Ok(()), false));
                }
            })
        })
        .collect();
    let closed = loop {
        let snapshot = timings.snapshot();
        if let Some(span) = snapshot.connect
            && span.end.is_some()
        {
            break timings.close();
        }
    };
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(timings.snapshot(), closed);
}

/// A request on the hot path: nothing is dialed, nothing fails.
#[test]
fn it_is_small_and_may_be_used_again() {
    assert!(size_of::<Timings>() < 256 && size_of::<Rare>() < 1200);
    let mut timings = std::sync::Arc::new(Timings::start());
    let addr = Addr::Ip("[::1]:80".parse().unwrap());
    let error = io::Error::from(io::ErrorKind::ConnectionRefused);
    let (dial, at) = (DialId::next(), timings.start);
    timings.event(at, &Event::GetConn { authority: "a:80", attempt: 1 });
    timings.event(at, &Event::ConnectStart { dial, try_no: 1, addr: &addr });
    let result = Err(&error as ErrorRef<'_>);
    timings
        .event(at, &Event::ConnectDone { dial, try_no: 1, addr: &addr, result, lost_race: false });
    let used = timings.close();
    assert_eq!((used.connects.len(), used.failures), (1, 1));
    assert!(used.failed_phase().is_some());
    // Who might still report holds it.
    let handle = TraceHandle::new(std::sync::Arc::clone(&timings));
    assert!(std::sync::Arc::get_mut(&mut timings).is_none());
    drop(handle);
    std::sync::Arc::get_mut(&mut timings).unwrap().reset();
    let new = timings.close();
    assert_eq!(Snapshot { total: Duration::ZERO, ..new }, Snapshot::default());
}

/// T25: errors from several threads, read meanwhile, are never half of one and half of another; and closing keeps one.
#[test]
fn the_text_of_an_error_is_whole() {
    let timings = Timings::start();
    let texts: Vec<_> = ["x", "ÿ", "z"].map(|c| c.repeat(300)).into();
    std::thread::scope(|scope| {
        for text in &texts {
            scope.spawn(|| {
                let error = io::Error::other(text.clone());
                for _ in 0..2000 {
                    timings.event(timings.start, &Event::Failed { error: &error });
                }
            });
        }
        let whole = |snapshot: &Snapshot| {
            if let Some((phase, text)) = snapshot.failed_phase() {
                assert_eq!((phase, text.len()), (Phase::Pool, 200));
                assert!(texts.iter().any(|whole| whole.starts_with(text)), "{text}");
            }
        };
        (0..1000).for_each(|_| whole(&timings.snapshot()));
        let closed = timings.close();
        whole(&closed);
        (0..1000).for_each(|_| assert_eq!(timings.snapshot(), closed));
    });
}

#[test]
fn it_does_not_want_what_is_no_time() {
    let wants = Timings::start().interest();
    assert!(!wants.intersects(Interest::FIELDS) && !wants.intersects(Interest::INFORMATIONAL));
    assert!(wants.intersects(Interest::READ) && wants.intersects(Interest::RETRY));
}
