//! Every socket option, on every kind of socket where it means something.

use rosn_net::{Bound, KeepAlive, SocketOptions, bind_udp, dial_udp};
use socket2::SockRef;

use super::*;

fn tcp(socket: &SocketOptions) -> Result<Bound<std::net::TcpListener>, rosn_net::BindError> {
    let options = ListenOptions { socket: socket.clone(), ..ListenOptions::default() };
    bind_tcp(any(), &options)
}

/// A listener and a connection with these options.
async fn both(socket: &SocketOptions) -> (Bound<std::net::TcpListener>, Stream) {
    let listener = tcp(socket).unwrap();
    let addr = Addr::Ip(listener.local_addr().unwrap());
    let options = DialOptions { socket: socket.clone(), ..DialOptions::default() };
    let stream = limited(dial(&addr, &options)).await.unwrap();
    (listener, stream)
}

/// 83: 15 s unless something else is asked for, or nothing.
#[tokio::test]
async fn o83_keep_alive() {
    let on = |idle, interval, count| {
        let [idle, interval] = [idle, interval].map(Duration::from_secs);
        KeepAlive::On { idle, interval, count }
    };
    for (keep_alive, expected) in [
        (KeepAlive::default(), Some((15, 15, None))),
        (on(30, 5, Some(4)), Some((30, 5, Some(4)))),
        (KeepAlive::Off, None),
        (KeepAlive::System, None),
    ] {
        let (listener, stream) = both(&SocketOptions { keep_alive, ..Default::default() }).await;
        for socket in [SockRef::from(&*listener), stream.socket().unwrap()] {
            assert!(socket.tcp_nodelay().unwrap());
            assert_eq!(socket.keepalive().unwrap(), expected.is_some());
            let Some((idle, interval, count)) = expected else { continue };
            assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), idle);
            assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), interval);
            assert!(count.is_none_or(|count| socket.tcp_keepalive_retries().unwrap() == count));
        }
    }
}

#[tokio::test]
async fn buffers() {
    let (receive_buffer, send_buffer) = (40_000, 50_000);
    let mut options = SocketOptions { receive_buffer, send_buffer, ..Default::default() };
    let check = |socket: SockRef<'_>| {
        // Linux doubles what it is given, for its own needs.
        assert_eq!(socket.recv_buffer_size().unwrap(), 80_000);
        assert_eq!(socket.send_buffer_size().unwrap(), 100_000);
    };
    let (listener, stream) = both(&options).await;
    check(SockRef::from(&*listener));
    check(stream.socket().unwrap());
    let udp = ListenOptions { socket: options.clone(), ..ListenOptions::default() };
    check(SockRef::from(&*bind_udp(any(), &udp).unwrap()));

    // Beyond the limit of the system, where that is allowed.
    options.receive_buffer = 64 << 20;
    options.force_buffers = true;
    match tcp(&options) {
        Ok(listener) => {
            let size = SockRef::from(&*listener).recv_buffer_size().unwrap();
            assert_eq!(size, 128 << 20);
        }
        Err(error) => {
            assert!(error.to_string().contains("SO_RCVBUFFORCE: not permitted"), "{error}")
        }
    }
}

#[tokio::test]
async fn marks_where_it_may() {
    let options = SocketOptions { mark: 7, ..SocketOptions::default() };
    let target = bind_udp(any(), &ListenOptions::default()).unwrap().local_addr().unwrap();
    let udp = DialOptions { socket: options.clone(), ..DialOptions::default() };
    match tcp(&options) {
        Ok(_) => {
            let (listener, stream) = both(&options).await;
            assert_eq!(SockRef::from(&*listener).mark().unwrap(), 7);
            assert_eq!(stream.socket().unwrap().mark().unwrap(), 7);
            assert_eq!(SockRef::from(&*dial_udp(target, &udp).unwrap()).mark().unwrap(), 7);
        }
        Err(error) => {
            let text = "SO_MARK: not permitted: it needs the capability CAP_NET_ADMIN";
            assert!(error.to_string().ends_with(text), "{error}");
            let error = dial_udp(target, &udp).unwrap_err();
            assert!(error.to_string().ends_with(text), "{error}");
        }
    }
}

#[tokio::test]
async fn devices() {
    let named = |name: &str| SocketOptions { device: Some(name.into()), ..Default::default() };
    if tcp(&named("lo")).is_ok() {
        let (_listener, stream) = both(&named("lo")).await;
        assert_eq!(stream.socket().unwrap().device().unwrap().as_deref(), Some(&b"lo"[..]));
    }
    let error = tcp(&named("no-such-dev0")).unwrap_err().to_string();
    assert!(error.contains("SO_BINDTODEVICE: "), "{error}");
    let options = DialOptions { socket: named("no-such-dev0"), ..DialOptions::default() };
    let error = dial(&Addr::Ip(any()), &options).await.unwrap_err().to_string();
    assert!(error.contains("SO_BINDTODEVICE: "), "{error}");
}

/// TCP Fast Open does its work or is silently not used; connections work in either case.
#[tokio::test]
async fn fast_open_and_multipath() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let fast_open = |queue| SocketOptions { fast_open: Some(queue), ..Default::default() };
    let mptcp = SocketOptions { mptcp: true, ..Default::default() };
    for options in [fast_open(256), fast_open(0), mptcp.clone()] {
        if let Err(error) = tcp(&options) {
            assert!(options.mptcp && error.to_string().contains("MPTCP"), "{error}");
            continue;
        }
        for _ in 0..2 {
            // The second time, the kernel has a cookie.
            let (listener, mut stream) = both(&options).await;
            let acceptor = TcpAcceptor::new(listener).unwrap();
            limited(stream.write_all(b"hello")).await.unwrap();
            let (mut accepted, _) = accept(&acceptor).await.unwrap();
            let mut text = [0; 5];
            limited(accepted.read_exact(&mut text)).await.unwrap();
            assert_eq!(&text, b"hello");
        }
    }
    if let Ok(listener) = tcp(&mptcp) {
        let protocol = SockRef::from(&*listener).protocol().unwrap();
        assert_eq!(protocol, Some(socket2::Protocol::MPTCP));
    }
}

#[test]
fn transparent_listeners() {
    let options = SocketOptions { transparent: true, ..SocketOptions::default() };
    match tcp(&options) {
        Ok(listener) => assert!(SockRef::from(&*listener).ip_transparent_v4().unwrap()),
        Err(error) => assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}"),
    }
}
