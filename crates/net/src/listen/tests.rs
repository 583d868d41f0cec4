use super::*;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn shared() -> ListenOptions {
    ListenOptions { reuse_port: true, ..ListenOptions::default() }
}

#[test]
fn a_port_in_use_names_its_holder() {
    let listener = bind_tcp(any(), &ListenOptions::default()).unwrap();
    let addr = listener.local_addr().unwrap();
    let error = bind_tcp(addr, &shared()).unwrap_err();
    let BindError::InUse { holder: Some(holder), .. } = &error else { panic!("{error:?}") };
    assert_eq!(holder.pid, std::process::id());
    let text = error.to_string();
    assert!(text.starts_with(&format!("address {addr} is already in use by ")), "{text}");
    assert!(text.contains(&format!("(pid {}, this process)", holder.pid)), "{text}");

    // A wildcard is in the way of one address, and one address of the wildcard.
    let wildcard = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), addr.port());
    let error = bind_tcp(wildcard, &ListenOptions::default()).unwrap_err();
    assert!(matches!(error, BindError::InUse { holder: Some(_), .. }), "{error:?}");
}

#[test]
fn a_udp_port_in_use_names_its_holder() {
    let socket = bind_udp(any(), &ListenOptions::default()).unwrap();
    let addr = socket.local_addr().unwrap();
    let error = bind_udp(addr, &ListenOptions::default()).unwrap_err();
    assert!(matches!(error, BindError::InUse { holder: Some(_), .. }), "{error:?}");
    // TCP has ports of its own.
    bind_tcp(addr, &ListenOptions::default()).unwrap();
}

#[test]
fn sharing_a_port_is_noticed_only_by_asking() {
    let first = bind_tcp(any(), &shared()).unwrap();
    let addr = first.local_addr().unwrap();
    let second = bind_tcp(addr, &shared()).unwrap();
    assert!(matches!(check_free(addr), Err(BindError::InUse { holder: Some(_), .. })));
    drop((first, second));
    check_free(addr).unwrap();
    check_free(addr).unwrap();
}

#[test]
fn udp_sockets_share_a_port() {
    let first = bind_udp(any(), &shared()).unwrap();
    bind_udp(first.local_addr().unwrap(), &shared()).unwrap();
}

#[test]
fn a_port_can_be_taken_again_at_once() {
    let listener = bind_tcp(any(), &ListenOptions::default()).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut client = TcpStream::connect(addr).unwrap();
    // The listening side closes first, so its end stays in TIME_WAIT.
    drop(listener.accept().unwrap());
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop((client, listener));
    check_free(addr).unwrap();
    bind_tcp(addr, &ListenOptions::default()).unwrap();
}

#[test]
fn the_ipv6_wildcard_takes_ipv4_too() {
    let listener = bind_tcp("[::]:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "::1"] {
        TcpStream::connect((host, port)).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(crate::PeerAddr::from(peer).as_ip().unwrap().ip().to_string(), host);
    }
    let error = bind_tcp(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), &shared());
    assert!(matches!(error, Err(BindError::InUse { holder: Some(_), .. })));
    // Any other IPv6 address leaves IPv4 alone.
    let listener = bind_tcp("[::1]:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    bind_tcp(SocketAddr::new(any().ip(), listener.local_addr().unwrap().port()), &shared())
        .unwrap();
}

#[test]
fn connections_inherit_what_the_listener_was_given() {
    let listener = bind_tcp(any(), &ListenOptions::default()).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let socket = socket2::SockRef::from(&accepted);
    assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 15);
}

#[test]
fn says_what_is_wrong() {
    // TEST-NET-1 (RFC 5737) is nobody's.
    let error = bind_tcp("192.0.2.1:80".parse().unwrap(), &ListenOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot listen on 192.0.2.1:80: no network interface of this machine has that address"
    );
    let addr = "0.0.0.0:80".parse().unwrap();
    let denied = bind_error(addr, Table::Tcp, Errno::ACCESS.into()).to_string();
    assert!(denied.contains("CAP_NET_BIND_SERVICE"));
    let refused = Failure { option: Some("IP_TRANSPARENT"), source: Errno::PERM.into() };
    assert_eq!(
        refused.at(addr, Table::Tcp).to_string(),
        "cannot listen on 0.0.0.0:80: IP_TRANSPARENT: not permitted: it needs the capability CAP_NET_ADMIN"
    );
}
