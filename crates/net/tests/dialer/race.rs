//! Which address is tried when.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::time::Instant;

use rosn_net::{DialContext, DialError, Stream};

use crate::script::{Answer, NOW, OK, REFUSED, Script, addr};

const DELAY: Duration = Duration::from_millis(300);
const SLOW: Answer = Answer::Never;
const V4: [&str; 2] = ["10.0.0.1", "10.0.0.2"];
const V6: [&str; 2] = ["2001:db8::1", "2001:db8::2"];

/// What the addresses do, what is to come of it, and after what time.
type Case<'a> = (&'a [(&'a str, Answer)], Result<&'a str, ErrorKind>, Duration);

/// Go's `TestDialParallel`; but for two, as a name's addresses are never raced within a family.
const CASES: &[Case<'static>] = &[
    // The first try.
    (&[(V4[0], OK)], Ok(V4[0]), NOW),
    (&[(V6[0], OK)], Ok(V6[0]), NOW),
    (&[(V4[0], OK), (V4[1], SLOW), (V6[0], SLOW)], Ok(V4[0]), NOW),
    (&[(V6[0], OK), (V6[1], SLOW), (V4[0], SLOW)], Ok(V6[0]), NOW),
    // The first is slow.
    (&[(V4[0], SLOW), (V6[0], OK)], Ok(V6[0]), DELAY),
    (&[(V6[0], SLOW), (V6[1], OK), (V4[0], OK)], Ok(V4[0]), DELAY),
    // The first is refused: the next of its family at once.
    (&[(V4[0], REFUSED), (V4[1], OK), (V6[0], OK)], Ok(V4[1]), NOW),
    (&[(V6[0], REFUSED), (V4[0], OK), (V6[1], OK)], Ok(V6[1]), NOW),
    // The same, in the fallback.
    (&[(V4[0], SLOW), (V4[1], SLOW), (V6[0], REFUSED), (V6[1], OK)], Ok(V6[1]), DELAY),
    // The first family is refused: the fallback need not wait.
    (&[(V4[0], REFUSED), (V6[0], OK)], Ok(V6[0]), NOW),
    (&[(V6[0], REFUSED), (V4[0], OK)], Ok(V4[0]), NOW),
    // All are refused.
    (&[(V4[0], REFUSED)], Err(ErrorKind::ConnectionRefused), NOW),
    // The name does not exist.
    (&[], Err(ErrorKind::NotFound), NOW),
    // The first comes late, but before the other.
    (
        &[(V6[0], Answer::Connected(Duration::from_millis(400))), (V4[0], SLOW)],
        Ok(V6[0]),
        Duration::from_millis(400),
    ),
    // The fallback fails, and then the first comes after all.
    (
        &[(V6[0], Answer::Connected(Duration::from_millis(900))), (V4[0], REFUSED)],
        Ok(V6[0]),
        Duration::from_millis(900),
    ),
];

async fn dial(
    case: &[(&str, Answer)],
    change: impl FnOnce(&mut rosn_net::Dialer, &mut DialContext),
) -> (Result<Stream, DialError>, Duration, std::sync::Arc<Script>) {
    let lists: Vec<_> =
        case.iter().map(|(ip, answer)| (*ip, std::slice::from_ref(answer))).collect();
    let script = Script::new(&lists);
    let addrs: Vec<_> = case.iter().map(|(ip, _)| *ip).collect();
    let mut dialer = script.dialer(&addrs);
    let mut context = DialContext::default();
    change(&mut dialer, &mut context);
    let start = Instant::now();
    let result = dialer.dial(&addr("name:80"), &context).await;
    (result, start.elapsed(), script)
}

fn ip(stream: &Stream) -> String {
    stream.peer_addr().unwrap().as_ip().unwrap().ip().to_string()
}

/// Rows 76, 77 and 79, S5, T8.
#[tokio::test(start_paused = true)]
async fn families_are_raced() {
    for (case, expected, time) in CASES {
        let (result, elapsed, script) = dial(case, |_, _| {}).await;
        let outcome = result.as_ref().map(ip).map_err(DialError::kind);
        assert_eq!(outcome, expected.map(str::to_owned), "{case:?}");
        // The clock of the test has milliseconds.
        assert!(elapsed.abs_diff(*time) < Duration::from_millis(10), "{case:?}: {elapsed:?}");
        assert_eq!(script.live.count(), usize::from(expected.is_ok()), "{case:?}: the loser");
        drop(result);
        assert_eq!(script.live.count(), 0, "{case:?}");
    }
}

/// Row 77: every case can be cancelled, whenever.
#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_cancelled_race() {
    for (case, ..) in CASES {
        for after in [0, 1, 299, 301, 350] {
            let lists: Vec<_> =
                case.iter().map(|(ip, answer)| (*ip, std::slice::from_ref(answer))).collect();
            let script = Script::new(&lists);
            let addrs: Vec<_> = case.iter().map(|(ip, _)| *ip).collect();
            let (dialer, context, to) =
                (script.dialer(&addrs), DialContext::default(), addr("name:80"));
            let dial = dialer.dial(&to, &context);
            let ended = tokio::time::timeout(Duration::from_millis(after), dial).await;
            drop(ended);
            assert_eq!(script.live.count(), 0, "{case:?} after {after} ms");
        }
    }
}

/// Row 78: both come at the same time.
#[tokio::test(start_paused = true)]
async fn of_two_that_come_at_once_one_is_closed() {
    let late = Answer::Connected(Duration::from_millis(500));
    let soon = Answer::Connected(Duration::from_millis(200));
    let (result, _, script) = dial(&[(V6[0], late), (V4[0], soon)], |_, _| {}).await;
    assert_eq!(script.connects().len(), 2);
    assert_eq!(script.live.count(), 1);
    drop(result);
    assert_eq!(script.live.count(), 0);
}

/// T8: the error is the first one's, whichever failed last.
#[tokio::test(start_paused = true)]
async fn the_error_is_the_first_ones() {
    let failed = |ms, kind| Answer::Failed(Duration::from_millis(ms), kind);
    for (first, second) in [(10, 10), (400, 1), (400, 900)] {
        let case = [
            (V6[0], failed(first, ErrorKind::ConnectionReset)),
            (V4[0], failed(second, ErrorKind::HostUnreachable)),
            (V6[1], failed(1, ErrorKind::NetworkUnreachable)),
        ];
        let (result, _, script) = dial(&case, |_, _| {}).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset, "{first} {second}");
        assert_eq!((script.connects().len(), script.live.count()), (3, 0));
    }
}

/// Rows 86 and S9: a family that cannot be reached costs no time.
#[tokio::test(start_paused = true)]
async fn an_unreachable_family_falls_back_at_once() {
    let unreachable = Answer::Failed(NOW, ErrorKind::NetworkUnreachable);
    let case = [(V6[0], unreachable), (V6[1], unreachable), (V4[0], OK)];
    let (result, elapsed, _) = dial(&case, |_, _| {}).await;
    assert_eq!(ip(&result.unwrap()), V4[0]);
    assert!(elapsed < DELAY);
}

/// Row 79.
#[tokio::test(start_paused = true)]
async fn the_delay_can_be_set_and_switched_off() {
    let case = [(V6[0], Answer::Connected(Duration::from_secs(9))), (V4[0], OK)];
    let (result, elapsed, _) =
        dial(&case, |dialer, _| dialer.fallback_delay = Some(Duration::from_secs(1))).await;
    assert_eq!((ip(&result.unwrap()).as_str(), elapsed.as_secs()), (V4[0], 1));
    let (result, elapsed, _) =
        dial(&case, |dialer, _| dialer.fallback_delay = Some(Duration::ZERO)).await;
    assert_eq!((ip(&result.unwrap()).as_str(), elapsed.as_secs()), (V4[0], 0));
    let (result, elapsed, script) = dial(&case, |dialer, _| dialer.fallback_delay = None).await;
    assert_eq!((ip(&result.unwrap()).as_str(), elapsed.as_secs()), (V6[0], 9));
    assert_eq!(script.connects(), [V6[0]]);
}

/// Rows 73 and 79: an address that does not answer leaves time for the others.
#[tokio::test(start_paused = true)]
async fn a_deadline_is_shared_by_the_addresses() {
    let deadline = |seconds| {
        move |_: &mut rosn_net::Dialer, context: &mut DialContext| {
            context.deadline = Some(Instant::now() + Duration::from_secs(seconds));
        }
    };
    let case = [(V4[0], SLOW), (V4[1], SLOW), ("10.0.0.3", OK)];
    let (result, elapsed, _) = dial(&case, deadline(12)).await;
    assert_eq!((ip(&result.unwrap()).as_str(), elapsed.as_secs()), ("10.0.0.3", 8));
    // At least 2 s each, so the third never has its turn.
    let (result, elapsed, script) = dial(&case, deadline(3)).await;
    assert_eq!((result.unwrap_err().kind(), elapsed.as_secs()), (ErrorKind::TimedOut, 3));
    assert_eq!((script.connects().len(), script.live.count()), (2, 0));
    // With both families.
    let case = [(V6[0], SLOW), (V4[0], SLOW)];
    let (result, elapsed, script) = dial(&case, deadline(4)).await;
    assert_eq!((result.unwrap_err().kind(), elapsed.as_secs()), (ErrorKind::TimedOut, 4));
    assert_eq!((script.connects().len(), script.live.count()), (2, 0));
}

/// Row 77: very many addresses do not spoil it for the first.
#[tokio::test(start_paused = true)]
async fn many_addresses() {
    let ips: Vec<_> = (1..=250).map(|last| format!("10.0.0.{last}")).collect();
    let slow = Answer::Connected(Duration::from_millis(1900));
    let case: Vec<_> = ips.iter().map(|ip| (ip.as_str(), slow)).collect();
    let (result, _, script) = dial(&case, |_, context| {
        context.deadline = Some(Instant::now() + Duration::from_secs(5));
    })
    .await;
    assert_eq!(ip(&result.unwrap()), "10.0.0.1");
    assert_eq!(script.connects().len(), 1);
}

/// Row 73: a deadline that has passed is an error at once, and nothing is tried.
#[tokio::test(start_paused = true)]
async fn too_late_is_too_late() {
    for seconds in [0, 1] {
        tokio::time::advance(Duration::from_secs(5)).await;
        let (result, elapsed, script) = dial(&[(V4[0], OK)], |_, context| {
            context.deadline = Instant::now().checked_sub(Duration::from_secs(seconds));
        })
        .await;
        assert_eq!((result.unwrap_err().kind(), elapsed), (ErrorKind::TimedOut, NOW));
        assert!(script.connects().is_empty());
    }
}
