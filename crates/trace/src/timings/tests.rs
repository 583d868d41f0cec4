use std::io;

use rosn_base::Addr;

use super::*;
use crate::DialId;

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
