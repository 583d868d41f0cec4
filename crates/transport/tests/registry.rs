//! The registry.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod tcp_support;

use std::sync::Arc;

use rosn_base::Addr;
use rosn_config::checked::{StreamSettings, TransportSettings};
use rosn_transport::{Dialer, Environment, Listener, Registry, Tcp, Transport, TransportError};

/// Tcp by another name.
struct Mine;

impl Transport for Mine {
    fn scheme(&self) -> &str {
        "mine"
    }

    fn listen(
        &self,
        at: &Addr,
        _settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Box<dyn Listener>, TransportError> {
        Tcp.listen(at, &Arc::default(), environment)
    }

    fn dialer(
        &self,
        _settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Arc<dyn Dialer>, TransportError> {
        Tcp.dialer(&Arc::default(), environment)
    }
}

fn mine() -> Arc<StreamSettings> {
    let transport = TransportSettings::Custom { scheme: "mine".into(), settings: Vec::new() };
    Arc::new(StreamSettings { transport, ..StreamSettings::default() })
}

#[tokio::test]
async fn a_transport_of_ones_own_works_like_any() {
    let mut registry = Registry::with_builtin();
    registry.register(Arc::new(Mine)).unwrap();
    let environment = tcp_support::environment();
    let mut listener = registry.listen(&tcp_support::any(), &mine(), &environment).unwrap();
    let dialer = registry.dialer(&mine(), &environment).unwrap();
    let to = listener.local_addr();
    let request = rosn_transport::DialRequest::default();
    let (client, server) =
        tokio::join!(dialer.dial(&to, &request), tcp_support::accept(&mut listener));
    tcp_support::exchange(client.unwrap(), server.stream, 10_000).await;
}

#[test]
fn a_name_is_given_once() {
    let mut registry = Registry::with_builtin();
    registry.register(Arc::new(Mine)).unwrap();
    let error = registry.register(Arc::new(Mine)).unwrap_err();
    assert_eq!(error.to_string(), "a transport called `mine` is registered already");
    assert!(matches!(registry.register(Arc::new(Tcp)), Err(TransportError::Duplicate(_))));
}

#[test]
fn an_unknown_name_is_told_from_those_that_there_are() {
    let registry = Registry::with_builtin();
    let environment = tcp_support::environment();
    let error = registry.listen(&tcp_support::any(), &mine(), &environment).map(drop).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("no transport is called `mine`; there are "), "{text}");
    assert!(text.contains("tcp"), "{text}");
    assert!(Registry::new().transport("tcp").is_err());
}

#[test]
fn a_host_name_is_not_listened_on() {
    let registry = Registry::with_builtin();
    let at: Addr = "example.com:80".parse().unwrap();
    let environment = tcp_support::environment();
    let error = registry.listen(&at, &Arc::default(), &environment).map(drop).unwrap_err();
    assert!(error.to_string().contains("`example.com`"), "{error}");
}

#[test]
fn a_busy_port_is_known_before_listen_returns() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = Addr::Ip(busy.local_addr().unwrap());
    let registry = Registry::with_builtin();
    let environment = tcp_support::environment();
    let error = registry.listen(&at, &Arc::default(), &environment).map(drop).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
