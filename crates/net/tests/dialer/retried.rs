//! S11, row 88: what went wrong by chance is tried again.

use std::io::ErrorKind;
use std::sync::Arc;

use rosn_net::{DialContext, DialError, PeerAddr};

use crate::script::{Answer, Log, NO_PORT, OK, Script, addr};

const ITSELF: Answer = Answer::Itself;

async fn dial(
    answers: &[Answer],
    bind: Option<&str>,
) -> (Result<PeerAddr, DialError>, Arc<Script>, Log) {
    let script = Script::new(&[("127.0.0.1", answers)]);
    let mut dialer = script.dialer(&[]);
    dialer.options.bind = bind.map(|bind| bind.parse().unwrap());
    let log = Log::default();
    let result = dialer.dial(&addr("127.0.0.1:80"), &log.context()).await;
    assert_eq!(script.live.count(), usize::from(result.is_ok()));
    (result.map(|stream| stream.local_addr().unwrap()), script, log)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_met_itself_is_dialed_again() {
    let (result, script, log) = dial(&[ITSELF, NO_PORT, OK], None).await;
    assert_eq!(result.unwrap().to_string(), "127.0.0.1:1");
    assert_eq!(script.connects().len(), 3);
    // It is one try of one address.
    assert_eq!(log.lines(), ["1 127.0.0.1:80", "1 done: ok"]);
}

#[tokio::test(start_paused = true)]
async fn but_not_for_ever() {
    let (result, script, _) = dial(&[ITSELF], None).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains("met itself"), "{error}");
    assert_eq!(script.connects().len(), 3);
    let (result, script, _) = dial(&[NO_PORT], Some("127.0.0.1:0")).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    assert_eq!(script.connects().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn and_not_where_the_port_was_chosen() {
    let (result, script, _) = dial(&[ITSELF], Some("127.0.0.1:80")).await;
    assert_eq!(result.unwrap().to_string(), "127.0.0.1:80");
    assert_eq!(script.connects().len(), 1);
    let (result, script, _) = dial(&[NO_PORT, OK], Some("127.0.0.1:7")).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    assert_eq!(script.connects().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nor_where_it_was_refused() {
    let script = Script::new(&[]);
    let context = DialContext::default();
    let error = script.dialer(&[]).dial(&addr("127.0.0.1:80"), &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(script.connects().len(), 1);
}
