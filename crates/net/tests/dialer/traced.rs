//! What is traced of a dial.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_net::DialContext;
use rosn_trace::{Timings, TraceHandle};
use tokio::time::{Instant, timeout};

use crate::script::{Answer, Log, OK, REFUSED, Script, addr};

const V4: &str = "10.0.0.1";
const V6: &str = "2001:db8::1";

/// T5: an IP address is not resolved, however it is written.
#[tokio::test(start_paused = true)]
async fn no_name_no_dns() {
    let script = Script::new(&[(V4, &[OK]), (V6, &[OK])]);
    for (to, shown) in [
        (addr("10.0.0.1:80"), "10.0.0.1:80"),
        (Addr::Name("10.0.0.1".into(), 80), "10.0.0.1:80"),
        (Addr::Name("2001:db8::1".into(), 80), "[2001:db8::1]:80"),
    ] {
        let log = Log::default();
        script.dialer(&[]).dial(&to, &log.context()).await.unwrap();
        assert_eq!(log.lines(), [format!("1 {shown}"), "1 done: ok".to_owned()]);
    }
}

/// T7, T8: each address has its pair, and the loser says so.
#[tokio::test(start_paused = true)]
async fn a_race() {
    let slow = Answer::Never;
    let script = Script::new(&[(V6, &[slow]), ("10.0.0.2", &[REFUSED]), (V4, &[OK])]);
    let log = Log::default();
    let dialer = script.dialer(&[V6, "10.0.0.2", V4]);
    dialer.dial(&addr("name:80"), &log.context()).await.unwrap();
    assert_eq!(
        log.lines(),
        [
            "dns name",
            "dns done: 3",
            "1 [2001:db8::1]:80",
            "2 10.0.0.2:80",
            "2 done: ConnectionRefused",
            "3 10.0.0.1:80",
            "3 done: ok",
            "1 done: cancelled lost",
        ]
    );
}

/// T4, T24: whatever was begun is ended, also if nobody waits any longer.
#[tokio::test(start_paused = true)]
async fn a_cancelled_dial() {
    let script = Script::new(&[(V6, &[Answer::Never]), (V4, &[Answer::Never])]);
    let (log, to) = (Log::default(), addr("name:80"));
    let (dialer, context) = (script.dialer(&[V6, V4]), log.context());
    timeout(Duration::from_secs(1), dialer.dial(&to, &context)).await.unwrap_err();
    let mut lines = log.lines();
    let mut ends = lines.split_off(4);
    ends.sort_unstable();
    assert_eq!(lines, ["dns name", "dns done: 2", "1 [2001:db8::1]:80", "2 10.0.0.1:80"]);
    assert_eq!(ends, ["1 done: cancelled", "2 done: cancelled"]);
}

/// Row 73: a deadline is no cancelling.
#[tokio::test(start_paused = true)]
async fn a_deadline() {
    let script = Script::new(&[(V4, &[Answer::Never])]);
    let log = Log::default();
    let mut context = log.context();
    context.deadline = Some(Instant::now() + Duration::from_secs(1));
    script.dialer(&[]).dial(&addr("10.0.0.1:80"), &context).await.unwrap_err();
    assert_eq!(log.lines(), ["1 10.0.0.1:80", "1 done: TimedOut"]);
    // Row 46: and one that has passed leaves no trace.
    let error = script.dialer(&[]).dial(&addr("10.0.0.1:80"), &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(log.lines().len(), 2);
}

/// Row 6: a name that does not exist.
#[tokio::test(start_paused = true)]
async fn no_such_name() {
    let script = Script::new(&[]);
    let log = Log::default();
    let error = script.dialer(&[]).dial(&addr("name:80"), &log.context()).await.unwrap_err();
    assert_eq!(log.lines(), ["dns name", "dns done: NotFound"]);
    assert_eq!(
        error.to_string(),
        "cannot connect to name:80: the name cannot be resolved: no such host"
    );
}

#[tokio::test(start_paused = true)]
async fn numbers_and_times() {
    let script = Script::new(&[(V6, &[REFUSED]), (V4, &[OK])]);
    let timings = Arc::new(Timings::start());
    let context = DialContext::new(TraceHandle::new(Arc::clone(&timings)));
    assert_ne!(context.id, DialContext::default().id);
    script.dialer(&[V6, V4]).dial(&addr("name:80"), &context).await.unwrap();
    let snapshot = timings.close();
    assert_eq!((snapshot.tries, snapshot.failures), (2, 1));
    let (dns, connect) = (snapshot.dns.unwrap(), snapshot.connect.unwrap());
    assert!(dns.end.unwrap() <= connect.start && connect.end.is_some(), "{snapshot:?}");
}
