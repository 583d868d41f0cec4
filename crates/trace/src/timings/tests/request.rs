//! Whole requests, told by events at given times.

use std::fmt;

use http::StatusCode;

use super::*;

/// A recorder, and events by the millisecond.
struct Story {
    timings: Timings,
    dial: DialId,
    addrs: Vec<Addr>,
}

impl Story {
    fn new() -> Self {
        let addrs = (0..10).map(|n| Addr::Ip(format!("10.0.0.{n}:80").parse().unwrap()));
        Self { timings: Timings::start(), dial: DialId::next(), addrs: addrs.collect() }
    }

    fn at(&self, ms: u64, event: &Event<'_>) -> &Self {
        self.timings.event(self.timings.start + Duration::from_millis(ms), event);
        self
    }

    fn get(&self, ms: u64, attempt: u32) -> &Self {
        self.at(ms, &Event::GetConn { authority: "a:80", attempt })
    }

    fn connect(&self, ms: u64, try_no: u32) -> &Self {
        let addr = &self.addrs[try_no as usize];
        self.at(ms, &Event::ConnectStart { dial: self.dial, try_no, addr })
    }

    fn connected(
        &self,
        ms: u64,
        try_no: u32,
        result: Result<(), ErrorRef<'_>>,
        lost_race: bool,
    ) -> &Self {
        let addr = &self.addrs[try_no as usize];
        self.at(ms, &Event::ConnectDone { dial: self.dial, try_no, addr, result, lost_race })
    }

    fn tls(&self, from: u64, to: u64, error: Option<ErrorRef<'_>>) -> &Self {
        let (dial, server_name) = (self.dial, "a");
        let info = crate::TlsInfo { version: "", cipher: "", alpn: None, resumed: false };
        let result = error.map_or(Ok(&info), Err);
        self.at(from, &Event::TlsStart { dial, server_name })
            .at(to, &Event::TlsDone { dial, server_name, result })
    }

    fn got(&self, ms: u64, reused: bool, was_idle: bool) -> &Self {
        let info = GotConnInfo {
            conn: ConnId::next(),
            dial: None,
            local: None,
            peer: None,
            reused,
            was_idle,
            idle: Duration::ZERO,
            requests_before: u64::from(reused) * 5,
        };
        self.at(ms, &Event::GotConn(&info))
    }

    fn wrote(&self, ms: u64, result: Result<(), ErrorRef<'_>>) -> &Self {
        self.at(ms, &Event::WroteRequest { bytes: 0, body_sent: true, result })
    }

    fn head(&self, ms: u64, status: u16) -> &Self {
        self.at(ms, &Event::ResponseHead { status: StatusCode::from_u16(status).unwrap() })
    }

    fn body(&self, ms: u64, result: Result<(), ErrorRef<'_>>) -> &Self {
        self.at(ms, &Event::ResponseBodyDone { bytes: 0, result })
    }

    fn failed(&self) -> Option<(Phase, String)> {
        self.timings.snapshot().failed_phase().map(|(phase, error)| (phase, error.to_owned()))
    }
}

fn ms(start: u64, end: u64) -> Option<Span> {
    Some(Span { start: Duration::from_millis(start), end: Some(Duration::from_millis(end)) })
}

#[derive(Debug)]
struct Broken(&'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Broken {}

/// As 1A.2's first order of Go: a name, TLS, a body.
#[test]
fn a_request_on_a_new_connection() {
    let story = Story::new();
    let dial = story.dial;
    story
        .get(1, 1)
        .at(2, &Event::DnsStart { dial, host: "a" })
        .at(4, &Event::DnsDone { dial, host: "a", addrs: &[], coalesced: false, error: None })
        .connect(4, 1)
        .connected(5, 1, Err(&Broken("refused")), false)
        .connect(5, 2)
        .connected(7, 2, Ok(()), false)
        .tls(7, 16, None)
        .got(17, false, false)
        .wrote(18, Ok(()))
        .at(30, &Event::FirstResponseByte)
        .head(31, 200)
        .body(45, Ok(()));
    let it = story.timings.close();
    assert_eq!(it.attempt_start, Some(Duration::from_millis(1)));
    assert_eq!((it.dns, it.connect, it.tls), (ms(2, 4), ms(4, 7), ms(7, 16)));
    assert_eq!((it.pool, it.proxy, it.handshake), (None, None, None));
    assert_eq!((it.write, it.wait, it.body), (ms(17, 18), ms(18, 30), ms(31, 45)));
    assert_eq!(it.first_byte, Some(Duration::from_millis(30)));
    assert_eq!(it.total, Duration::from_millis(45));
    let fresh = UsedConn { reused: false, was_idle: false, requests_before: 0 };
    assert_eq!((it.conn, it.status), (Some(fresh), Some(StatusCode::OK)));
    assert_eq!((it.attempts, it.tries, it.failures), (1, 2, 1));
    let connects: Vec<_> = it.connects.iter().map(|c| (&c.addr, c.span, c.outcome)).collect();
    let failed = (&story.addrs[1], ms(4, 5).unwrap(), Some(Outcome::Failed));
    let connected = (&story.addrs[2], ms(5, 7).unwrap(), Some(Outcome::Connected));
    assert_eq!(connects, [failed, connected]);
    assert_eq!(
        it.server_timing(),
        "dns;dur=2, connect;dur=3, tls;dur=9, write;dur=1, wait;dur=12, body;dur=14, total;dur=45"
    );
}

/// T10, T11, T24: the connection of another request is handed over while a dial is under way, which ends later.
#[test]
fn a_dial_that_was_not_needed() {
    let story = Story::new();
    let authority = "a:80";
    story
        .get(0, 1)
        .connect(1, 1)
        .at(2, &Event::PoolWait { authority, queued: 1 })
        .got(8, true, false)
        .wrote(9, Ok(()))
        .connected(10, 1, Ok(()), false)
        .tls(10, 12, Some(&Broken("late")))
        .at(20, &Event::FirstResponseByte);
    let it = story.timings.close();
    assert_eq!((it.connect, it.tls, it.pool), (None, None, ms(2, 8)));
    assert_eq!((it.write, it.wait), (ms(8, 9), ms(9, 20)));
    assert_eq!(it.conn.map(|conn| (conn.reused, conn.requests_before)), Some((true, 5)));
    assert_eq!((it.tries, it.connects[0].outcome), (1, Some(Outcome::Connected)));
    assert_eq!(it.failed_phase(), None);
    story.connected(30, 1, Err(&Broken("later")), true).get(31, 2).head(32, 500).wrote(33, Ok(()));
    assert_eq!(story.timings.snapshot(), it);
}

/// A fresh connection that another request has dialed in vain: no phase of it is this request's.
#[test]
fn the_connection_of_a_lost_race() {
    let story = Story::new();
    story.get(0, 1).connect(1, 1).got(5, false, true);
    let it = story.timings.snapshot();
    let conn = UsedConn { reused: false, was_idle: true, requests_before: 0 };
    assert_eq!((it.conn, it.connect), (Some(conn), None));
    assert_eq!(it.connects[0].outcome, None);
}

/// T15, T16: a retry or a redirect begins anew; what is old does not show.
#[test]
fn the_last_attempt_counts() {
    let story = Story::new();
    let cause = Broken("reset");
    story
        .get(0, 1)
        .got(0, true, true)
        .wrote(0, Ok(()))
        .at(1, &Event::Retry { attempt: 1, cause: &cause });
    assert_eq!(story.failed(), Some((Phase::Wait, "reset".to_owned())));
    // At the same moment: a clock may be coarse.
    story.get(1, 2);
    let it = story.timings.snapshot();
    assert_eq!((it.write, it.wait, it.conn, it.attempts), (None, None, None, 1));
    story.connect(1, 1).connected(1, 1, Ok(()), false).got(1, false, false).wrote(1, Ok(()));
    let it = story.timings.snapshot();
    assert_eq!((it.connect, it.write, it.attempts), (ms(1, 1), ms(1, 1), 2));
    story.head(3, 302).body(3, Ok(())).get(5, 1).got(6, false, false);
    let it = story.timings.close();
    assert_eq!((it.status, it.body, it.wait.unwrap().end), (None, None, None));
    assert_eq!((it.connect, it.attempts), (None, 3));
    assert!(it.total >= Duration::ZERO);
}

/// T19: an answer before the request's end, in whichever order the events come. No time is negative.
#[test]
fn an_early_answer() {
    let story = Story::new();
    story.get(0, 1).got(1, false, false).at(5, &Event::FirstResponseByte).head(6, 413);
    assert_eq!(story.timings.snapshot().wait, ms(1, 5));
    story.wrote(9, Err(&Broken("closed"))).body(8, Ok(()));
    let it = story.timings.snapshot();
    assert_eq!((it.write, it.wait, it.body), (ms(1, 9), ms(5, 5), ms(6, 8)));
    assert_eq!(story.failed(), Some((Phase::Write, "closed".to_owned())));
    // Ends that are older than their starts.
    let story = Story::new();
    story.wrote(3, Ok(())).got(9, false, false).head(2, 200).body(1, Ok(()));
    story.at(2, &Event::FirstResponseByte);
    let it = story.timings.snapshot();
    let open = |ms| Some(Span { start: Duration::from_millis(ms), end: None });
    assert_eq!((it.write, it.wait, it.body), (open(9), ms(2, 2), open(2)));
}

/// T17: 100 comes before the body is sent, and the answer after it.
#[test]
fn an_interim_response_is_no_answer() {
    let story = Story::new();
    story
        .get(0, 1)
        .got(1, false, false)
        .at(2, &Event::Wait100)
        .at(4, &Event::FirstResponseByte)
        .at(4, &Event::Got100)
        .wrote(10, Ok(()));
    assert_eq!(story.timings.snapshot().wait.unwrap().duration(), None);
    story.head(50, 200);
    assert_eq!(story.timings.snapshot().wait, ms(10, 50));
}

/// Where the cause of a failure is reported twice, the phase is that of the first report, and the text of the second.
#[test]
fn where_it_failed() {
    let wanted = |phase, text: &str| Some((phase, text.to_owned()));
    let authority = "a:80";
    let story = Story::new();
    story.get(0, 1).connect(1, 1).connected(2, 1, Err(&Broken("refused")), false);
    assert_eq!(story.failed(), wanted(Phase::Connect, "refused"));
    let error = Broken("cannot connect\r\nto a:80: refused");
    story.at(3, &Event::GetConnFailed { authority, error: &error });
    assert_eq!(story.failed(), wanted(Phase::Connect, "cannot connect  to a:80: refused"));
    // Given up by the deadline.
    story.get(3, 2).tls(3, 5, Some(&Cancelled));
    assert_eq!(story.failed(), wanted(Phase::Tls, "cancelled"));
    story.at(3, &Event::Failed { error: &Broken("deadline") });
    assert_eq!(story.failed(), wanted(Phase::Tls, "deadline"));
    // One that was overcome is not the cause of what comes later.
    story.get(6, 3).connect(6, 1).connected(6, 1, Err(&Broken("refused")), false);
    story.got(7, false, false).at(8, &Event::Failed { error: &Broken("gone") });
    assert_eq!(story.failed(), wanted(Phase::Write, "gone"));
    story
        .get(8, 4)
        .got(8, true, true)
        .wrote(9, Ok(()))
        .at(10, &Event::Failed { error: &Broken("end of stream") });
    assert_eq!(story.failed(), wanted(Phase::Wait, "end of stream"));
    story.get(11, 1).got(12, true, true).head(13, 200).body(14, Err(&Broken("cut")));
    assert_eq!(story.failed(), wanted(Phase::Body, "cut"));
    story.get(11, 1).at(15, &Event::GetConnFailed { authority, error: &Broken("pool full") });
    assert_eq!(story.failed(), wanted(Phase::Pool, "pool full"));
    // The loser of a race has not failed.
    let story = Story::new();
    story.connect(1, 1).connected(2, 1, Err(&Cancelled), true);
    assert_eq!(story.failed(), None);
}

/// T24: cancelled in each phase, what is recorded is consistent: each phase is over or was never begun.
#[test]
fn cancelled_anywhere() {
    let story = Story::new();
    let dial = story.dial;
    let error: Option<ErrorRef<'_>> = Some(&Cancelled);
    story.get(0, 1).at(1, &Event::DnsStart { dial, host: "a" });
    story.at(2, &Event::DnsDone { dial, host: "a", addrs: &[], coalesced: false, error });
    let it = story.timings.close();
    assert_eq!((it.dns, it.connect, it.wait, it.failures), (ms(1, 2), None, None, 0));
    assert_eq!(it.failed_phase(), Some((Phase::Dns, "cancelled")));

    let story = Story::new();
    story.get(0, 1).connect(1, 1).connected(2, 1, Err(&Cancelled), false);
    let it = story.timings.close();
    assert_eq!((it.connect, it.failures), (ms(1, 2), 0));
    assert_eq!(it.connects[0].outcome, Some(Outcome::Cancelled));

    let story = Story::new();
    story.get(0, 1).got(1, true, true).wrote(2, Err(&Cancelled));
    let it = story.timings.close();
    assert_eq!((it.write, it.body), (ms(1, 2), None));
    assert_eq!(it.failed_phase(), Some((Phase::Write, "cancelled")));

    let story = Story::new();
    story.get(0, 1).got(1, true, true).wrote(2, Ok(())).head(3, 200).body(9, Err(&Cancelled));
    let it = story.timings.close();
    assert_eq!((it.wait, it.body, it.total), (ms(2, 3), ms(3, 9), Duration::from_millis(9)));
    assert_eq!(it.failed_phase(), Some((Phase::Body, "cancelled")));
}

/// T7: the first 8 addresses are kept, all are counted.
#[test]
fn many_addresses() {
    let story = Story::new();
    for try_no in 0..10 {
        story.connect(try_no.into(), try_no).connected(20, try_no, Err(&Broken("x")), false);
    }
    let it = story.timings.close();
    assert_eq!((it.tries, it.failures, it.connects.len()), (10, 10, 8));
    assert!(it.connects.iter().all(|c| c.outcome == Some(Outcome::Failed)));
    assert_eq!(it.connects[7].addr, story.addrs[7]);
}

#[test]
fn server_timing_is_short() {
    let span =
        |micros| Some(Span { start: Duration::ZERO, end: Some(Duration::from_micros(micros)) });
    let snapshot = Snapshot {
        dns: span(400),
        connect: span(1230),
        tls: span(9000),
        pool: span(7),
        wait: span(3100),
        body: Some(Span { start: Duration::ZERO, end: None }),
        total: Duration::from_millis(14),
        ..Snapshot::default()
    };
    assert_eq!(
        snapshot.server_timing(),
        "dns;dur=0.4, connect;dur=1.23, tls;dur=9, pool;dur=0.007, wait;dur=3.1, total;dur=14"
    );
    assert_eq!(Snapshot::default().server_timing(), "total;dur=0");
}
