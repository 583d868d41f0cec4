//! What every network does alike: each test runs on the sockets of the operating system and on those in memory.

#![allow(clippy::unwrap_used, reason = "tests")]

mod hooks;
mod tcp;
mod tcp_ends;
mod udp;
mod unix;

use std::future::{Future, poll_fn};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rosn_base::Addr;
use rosn_net::{
    Batch, Datagrams, DialError, DialOptions, ListenOptions, MemNet, Net, NetListener, OsNet,
    PeerAddr, Received, Stream,
};
use tokio::io::AsyncReadExt as _;

/// One host.
struct Host {
    net: Arc<dyn Net>,
    directory: tempfile::TempDir,
}

impl Host {
    fn new(net: impl Net) -> Self {
        Self { net: Arc::new(net), directory: tempfile::tempdir().unwrap() }
    }

    fn listen(&self, addr: &str) -> Box<dyn NetListener> {
        self.net.listen(&addr.parse().unwrap(), &ListenOptions::default()).unwrap()
    }

    async fn dial(&self, addr: &Addr) -> Result<Stream, DialError> {
        self.net.connect(addr, &DialOptions::default()).await
    }

    /// The two ends of a connection: the client's and the server's.
    async fn pair(&self) -> (Stream, Stream) {
        let mut listener = self.listen("127.0.0.1:0");
        let client = self.dial(&listener.local_addr()).await.unwrap();
        (client, accept(&mut listener).await.0)
    }

    fn udp(&self, addr: &str) -> Arc<dyn Datagrams> {
        self.net.bind_udp(addr.parse().unwrap(), &ListenOptions::default()).unwrap()
    }

    fn dial_udp(&self, to: SocketAddr) -> Arc<dyn Datagrams> {
        self.net.dial_udp(to, &DialOptions::default()).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

async fn accept(listener: &mut Box<dyn NetListener>) -> (Stream, PeerAddr) {
    poll_fn(|cx| listener.poll_accept(cx)).await.unwrap()
}

/// All that comes until the end.
async fn read_all(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Sends now or when there is room.
async fn send(socket: &Arc<dyn Datagrams>, batch: Batch<'_>) -> io::Result<()> {
    loop {
        match socket.try_send(&batch) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll_fn(|cx| socket.poll_writable(cx)).await?;
            }
            sent => return sent,
        }
    }
}

async fn send_one(socket: &Arc<dyn Datagrams>, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
    send(socket, Batch { to, bytes, segment: None }).await
}

/// The next datagrams, each by itself, and from whom they are.
async fn receive(
    socket: &Arc<dyn Datagrams>,
    count: usize,
) -> io::Result<Vec<(SocketAddr, Vec<u8>)>> {
    let mut space = vec![vec![0; 65_536]; 4];
    let mut all = Vec::new();
    while all.len() < count {
        let mut buffers: Vec<_> = space.iter_mut().map(|one| IoSliceMut::new(one)).collect();
        let mut received =
            vec![Received { from: "0.0.0.0:0".parse().unwrap(), len: 0, stride: 0 }; 4];
        let receiving = poll_fn(|cx| socket.poll_receive(cx, &mut buffers, &mut received));
        let used = receiving.await?;
        for (one, bytes) in received[..used].iter().zip(&space) {
            let bytes = &bytes[..one.len];
            if bytes.is_empty() {
                all.push((one.from, Vec::new()));
            }
            all.extend(bytes.chunks(one.stride.max(1)).map(|part| (one.from, part.to_vec())));
        }
    }
    Ok(all)
}

/// Polls a future once.
async fn poll_once<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Fails a test that hangs.
async fn bounded(test: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test hangs");
}

macro_rules! on_every_network {
    ($($module:ident::$name:ident,)*) => {
        mod on_the_system {
            $(#[tokio::test]
            async fn $name() {
                crate::bounded(crate::$module::$name(&crate::Host::new(crate::OsNet))).await;
            })*
        }

        mod in_memory {
            $(#[tokio::test]
            async fn $name() {
                let host = crate::MemNet::new().host([10, 0, 0, 1]);
                crate::bounded(crate::$module::$name(&crate::Host::new(host))).await;
            })*
        }
    };
}

// S14 of the checklist: the same tests on both.
on_every_network! {
    hooks::s1_hooks_see_all_calls_in_order,
    hooks::s2_a_veto_keeps_its_kind_and_leaves_nothing,
    hooks::s3_an_override_closes_the_socket,
    tcp::both_ends_know_their_addresses,
    tcp::bytes_keep_their_order_both_ways,
    tcp::looking_takes_nothing,
    tcp::looking_again_waits_for_more,
    tcp::a_full_buffer_holds_the_writer_back,
    tcp::nobody_listens_is_refused,
    tcp::a_name_has_to_be_resolved_first,
    tcp::a_port_is_in_use_until_its_listener_is_dropped,
    tcp::an_address_of_somebody_else_cannot_be_listened_on,
    tcp::port_zero_is_a_port_of_its_own,
    tcp::all_addresses_are_listened_on,
    tcp::sharers_of_a_port_need_reuse_port,
    tcp::a_dialer_may_choose_its_address,
    tcp::a_dialer_cannot_have_a_foreign_address,
    tcp::many_connections_at_once,
    tcp::a_cancelled_accept_loses_no_connection,
    tcp::a_cancelled_dial_is_closed,
    tcp_ends::the_client_may_end_first,
    tcp_ends::the_server_may_end_first,
    tcp_ends::dropping_both_directions_is_an_end_of_file,
    tcp_ends::writing_after_the_own_end_fails,
    tcp_ends::a_reset_is_an_error_for_the_other,
    tcp_ends::bytes_before_a_reset_may_be_read,
    tcp_ends::closing_with_unread_bytes_is_a_reset,
    tcp_ends::writing_to_somebody_who_has_closed_fails_in_the_end,
    tcp_ends::a_writer_that_waits_learns_of_the_end,
    tcp_ends::a_listener_that_is_dropped_resets_who_waits,
    unix::accept_dial_and_half_close,
    unix::a_path_is_in_use_until_its_listener_is_dropped,
    unix::no_socket_is_not_found,
    unix::closing_is_an_end_of_file,
    udp::s13_datagrams_keep_order_and_boundaries,
    udp::s13_an_answer_finds_its_way,
    udp::s13_the_largest_and_the_smallest_datagram,
    udp::s13_a_batch_is_split_into_its_segments,
    udp::s13_a_batch_may_be_larger_than_a_system_call,
    udp::s13_a_batch_of_nothing_is_refused,
    udp::s13_nobody_there_is_refused_where_connected,
    udp::s13_a_server_survives_clients_that_are_gone,
    udp::s13_a_connected_socket_hears_its_peer_only,
    udp::s13_a_port_is_in_use_until_its_socket_is_dropped,
    udp::s13_ipv4_and_ipv6_on_one_socket,
    udp::s13_a_cancelled_receive_loses_nothing,
    udp::s13_a_dialer_may_choose_its_address,
}
