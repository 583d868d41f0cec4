//! Unix sockets.

use std::io::ErrorKind;

use rosn_base::Addr;
use rosn_net::{BindError, DialError, ListenOptions, PeerAddr};
use tokio::io::AsyncWriteExt as _;

use crate::{Host, accept, read_all};

pub(crate) async fn accept_dial_and_half_close(host: &Host) {
    let path = host.path("a.sock");
    let addr = Addr::Unix(path.clone());
    let mut listener = host.net.listen(&addr, &ListenOptions::default()).unwrap();
    assert_eq!(listener.local_addr(), addr);
    let mut client = host.dial(&addr).await.unwrap();
    let (mut server, peer) = accept(&mut listener).await;
    assert_eq!(peer, PeerAddr::Unix(None));
    assert_eq!(server.peer_addr().unwrap(), PeerAddr::Unix(None));
    assert_eq!(client.local_addr().unwrap(), PeerAddr::Unix(None));
    assert_eq!(client.peer_addr().unwrap(), PeerAddr::Unix(Some(path.into())));
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut server).await.unwrap(), b"question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    assert_eq!(read_all(&mut client).await.unwrap(), b"answer");
}

pub(crate) async fn a_path_is_in_use_until_its_listener_is_dropped(host: &Host) {
    let addr = Addr::Unix(host.path("b.sock"));
    let listener = host.net.listen(&addr, &ListenOptions::default()).unwrap();
    let error = host.net.listen(&addr, &ListenOptions::default()).err().expect("in use");
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    drop(listener);
    assert_eq!(host.dial(&addr).await.unwrap_err().kind(), ErrorKind::NotFound);
    drop(host.net.listen(&addr, &ListenOptions::default()).unwrap());
}

pub(crate) async fn no_socket_is_not_found(host: &Host) {
    let error = host.dial(&Addr::Unix(host.path("none.sock"))).await.unwrap_err();
    assert!(matches!(error, DialError::Connect { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

pub(crate) async fn closing_is_an_end_of_file(host: &Host) {
    let addr = Addr::Unix(host.path("c.sock"));
    let mut listener = host.net.listen(&addr, &ListenOptions::default()).unwrap();
    let client = host.dial(&addr).await.unwrap();
    let (mut server, _) = accept(&mut listener).await;
    // A unix socket knows no reset.
    client.reset();
    assert_eq!(read_all(&mut server).await.unwrap(), b"");
}
