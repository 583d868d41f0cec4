//! Resolving: families, deadlines, and one question for all.

use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use rosn_base::Addr;
use rosn_net::{
    BoxFuture, Coalesced, DialContext, DialError, Dialer, Network, Resolve, Resolved,
    SystemResolver,
};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::script::{Log, OK, Script, addr};

/// Answers when it is let, and counts how often it was asked and how many wait.
#[derive(Clone)]
struct Slow {
    let_go: Arc<Semaphore>,
    asked: Arc<AtomicUsize>,
    fails: bool,
}

impl Slow {
    fn new(fails: bool) -> Self {
        Self { let_go: Arc::new(Semaphore::new(0)), asked: Arc::default(), fails }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Resolve for Slow {
    fn resolve<'a>(&'a self, _: &'a str, network: Network) -> BoxFuture<'a, io::Result<Resolved>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let _permit = self.let_go.acquire().await.unwrap();
            if self.fails {
                return Err(io::Error::new(ErrorKind::NotFound, "no such host"));
            }
            let ip = if network == Network::V6 { "::1" } else { "10.0.0.1" };
            Ok(Resolved::from(vec![ip.parse().unwrap()]))
        })
    }
}

fn idle(resolver: &impl std::fmt::Debug) -> bool {
    format!("{resolver:?}") == "Coalesced { under_way: 0 }"
}

/// Row 85, T9: one question for each name and network.
#[tokio::test]
async fn who_asks_the_same_shares_the_answer() {
    let slow = Slow::new(false);
    let resolver = Arc::new(Coalesced::new(slow.clone()));
    let mut answers = Vec::new();
    for network in [Network::Any, Network::V4, Network::V6] {
        for host in ["a", "b", "a", "a"] {
            let resolver = Arc::clone(&resolver);
            let answer = tokio::spawn(async move { resolver.resolve(host, network).await });
            answers.push((network, answer));
        }
    }
    // They all have asked once the tasks have run.
    while slow.asked() < 6 {
        tokio::task::yield_now().await;
    }
    slow.let_go.add_permits(1);
    let mut shared = 0;
    for (network, answer) in answers {
        let resolved = answer.await.unwrap().unwrap();
        assert_eq!(resolved.addrs[0].is_ipv6(), network == Network::V6);
        shared += usize::from(resolved.coalesced);
    }
    assert_eq!((slow.asked(), shared), (6, 6));
    assert!(idle(&resolver));
    // An answer is not kept.
    assert!(!resolver.resolve("a", Network::Any).await.unwrap().coalesced);
    assert_eq!(slow.asked(), 7);
}

/// Row 85, T9: the first one gives up, and the others do not notice.
#[tokio::test]
async fn who_gives_up_does_not_spoil_it_for_the_others() {
    let slow = Slow::new(false);
    let resolver = Coalesced::new(slow.clone());
    let mut first = Box::pin(resolver.resolve("a", Network::Any));
    let mut second = Box::pin(resolver.resolve("a", Network::Any));
    let mut third = Box::pin(resolver.resolve("a", Network::Any));
    let mut cx = Context::from_waker(Waker::noop());
    for asked in [&mut first, &mut second, &mut third] {
        assert!(asked.as_mut().poll(&mut cx).is_pending());
    }
    drop(first);
    drop(third);
    slow.let_go.add_permits(1);
    let resolved = second.await.unwrap();
    assert!(resolved.coalesced);
    assert_eq!(slow.asked(), 1);
    assert!(idle(&resolver));
}

/// When all have given up, the question is dropped, and the next one asks anew.
#[tokio::test]
async fn a_question_that_nobody_waits_for_is_dropped() {
    let slow = Slow::new(false);
    let resolver = Coalesced::new(slow.clone());
    for _ in 0..3 {
        let mut asked = pin!(resolver.resolve("a", Network::Any));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(asked.as_mut().poll(&mut cx).is_pending());
        assert!(!idle(&resolver));
        asked.set(Box::pin(std::future::pending()));
        assert!(idle(&resolver));
    }
    assert_eq!(slow.asked(), 3);
}

#[tokio::test]
async fn an_error_is_shared_too() {
    let slow = Slow::new(true);
    let resolver = Coalesced::new(slow.clone());
    slow.let_go.add_permits(1);
    let error = resolver.resolve("a", Network::Any).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::NotFound, "no such host"));
    assert!(idle(&resolver));
}

/// T9: the trace says who shared an answer; who had asked first did not.
#[tokio::test]
async fn the_trace_says_who_shared() {
    let slow = Slow::new(false);
    let script = Script::new(&[("10.0.0.1", &[OK])]);
    let dialer = Dialer::new(script, Arc::new(Coalesced::new(slow.clone())));
    let (one, two) = (Log::default(), Log::default());
    let (first_context, second_context, to) = (one.context(), two.context(), addr("name:80"));
    let mut first = Box::pin(dialer.dial(&to, &first_context));
    let mut second = Box::pin(dialer.dial(&to, &second_context));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    slow.let_go.add_permits(1);
    second.await.unwrap();
    first.await.unwrap();
    assert_eq!(one.lines()[..2], ["dns name", "dns done: 1"]);
    assert_eq!(two.lines()[..2], ["dns name", "dns done: 1 shared"]);
}

/// Row 73: resolving counts, too.
#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_resolving() {
    let script = Script::new(&[]);
    let resolver = Arc::new(Coalesced::new(Slow::new(false)));
    let dialer = Dialer::new(script, Arc::clone(&resolver) as _);
    let log = Log::default();
    let mut context = log.context();
    context.deadline = Some(Instant::now() + Duration::from_secs(1));
    let error = dialer.dial(&addr("name:80"), &context).await.unwrap_err();
    assert!(matches!(error, DialError::Resolve { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(log.lines(), ["dns name", "dns done: TimedOut"]);
    assert!(idle(&resolver));
}

/// Row 84: the address to dial from picks the family.
#[tokio::test(start_paused = true)]
async fn the_local_address_picks_the_family() {
    let script = Script::new(&[("10.0.0.1", &[OK]), ("2001:db8::1", &[OK])]);
    let mut dialer = script.dialer(&["2001:db8::1", "10.0.0.1"]);
    let context = DialContext::default();
    for (bind, peer, other) in [
        ("127.0.0.1:0", "10.0.0.1:80", "[2001:db8::1]:80"),
        ("[::1]:0", "[2001:db8::1]:80", "10.0.0.1:80"),
    ] {
        dialer.options.bind = Some(bind.parse().unwrap());
        let stream = dialer.dial(&addr("name:80"), &context).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().to_string(), peer);
        let ip = other.parse::<std::net::SocketAddr>().unwrap().ip().to_string();
        for to in [addr(other), Addr::Name(ip.into(), 80)] {
            let error = dialer.dial(&to, &context).await.unwrap_err();
            assert!(matches!(error, DialError::NoAddress { .. }), "{error:?}");
        }
    }
    assert_eq!(script.connects().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_address_is_tried_once_however_often_it_is_listed() {
    let script = Script::new(&[]);
    let dialer = script.dialer(&["10.0.0.1", "10.0.0.1", "10.0.0.1"]);
    let error = dialer.dial(&addr("name:80"), &DialContext::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot connect to 10.0.0.1:80: connection refused");
    assert_eq!(script.connects().len(), 1);
}

#[tokio::test]
async fn the_addresses_can_be_had_alone() {
    let dialer = Script::new(&[]).dialer(&["10.0.0.1", "::1"]);
    let context = DialContext::default();
    let addrs = dialer.addrs(&addr("name:80"), &context).await.unwrap();
    assert_eq!(addrs, ["10.0.0.1:80".parse().unwrap(), "[::1]:80".parse().unwrap()]);
    let error = dialer.addrs(&addr("unix:/a"), &context).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot connect to unix:/a: a unix socket has no IP address");
}

/// The system knows itself, and names that cannot be are errors.
#[tokio::test]
async fn the_system_resolves() {
    let resolver = Coalesced::new(SystemResolver);
    let resolved = resolver.resolve("localhost", Network::V4).await.unwrap();
    assert_eq!(resolved.addrs[..], ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    for host in ["", "a\0b", "-", &"a.".repeat(2000)] {
        resolver.resolve(host, Network::Any).await.unwrap_err();
    }
}
