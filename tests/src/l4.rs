//! What the tests of TCP, UDP and unix sockets share: peers that go step by step, patterns of bytes that
//! are checked at the other end, and configurations.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::{PATIENCE, config};

/// 127.0.0.1 with this port.
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Adds the keys of `extra` to an object, in place of those that it has.
pub fn merge(object: &mut Value, extra: Value) {
    let (Value::Object(object), Value::Object(extra)) = (object, extra) else {
        panic!("not an object")
    };
    object.extend(extra);
}

/// A copy of an object with further keys.
pub fn with(mut object: Value, extra: Value) -> Value {
    merge(&mut object, extra);
    object
}

/// A listener on 127.0.0.1 with one network filter.
#[must_use]
pub fn listener(name: &str, port: u16, filter: &str, filter_config: Value) -> Value {
    let network = if filter == "udp_proxy" { "udp" } else { "tcp" };
    let filter = json!({ "type": filter, "config": filter_config });
    with(config::listener(name, port, filter), json!({ "network": network }))
}

/// A `udp_proxy` to one cluster.
pub fn udp_listener(name: &str, port: u16, cluster: &str) -> Value {
    listener(name, port, "udp_proxy", json!({ "cluster": cluster }))
}

/// A cluster of these hosts (`ip:port`, `name:port`, `unix:/path`).
pub fn cluster_of(name: &str, hosts: &[String]) -> Value {
    let hosts: Vec<Value> = hosts.iter().map(|host| json!({ "address": host })).collect();
    json!({ "name": name, "type": "SIMPLE", "lb_type": "LB_ROUNDROBIN", "hosts": hosts })
}

/// A TCP listener whose connections the test takes one by one.
pub struct Peer(TcpListener);

impl Peer {
    /// Listens on a free port of 127.0.0.1.
    pub fn new() -> Self {
        Self::at(local(0))
    }

    /// Listens there.
    pub fn at(addr: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr)
            .unwrap_or_else(|error| panic!("cannot listen on {addr}: {error}"));
        listener.set_nonblocking(true).expect("a listener can be made nonblocking");
        Self(listener)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.0.local_addr().expect("it is bound").port()
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.0.local_addr().expect("it is bound").to_string()
    }

    /// The next connection, which has to come soon.
    pub fn accept(&self) -> TcpStream {
        let start = Instant::now();
        loop {
            if let Some(stream) = self.accept_now() {
                return stream;
            }
            assert!(start.elapsed() < PATIENCE, "no connection came");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The next connection, if one waits.
    pub fn accept_now(&self) -> Option<TcpStream> {
        match self.0.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("a stream can be made blocking");
                Some(patient(stream))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("accept: {error}"),
        }
    }
}

impl Default for Peer {
    fn default() -> Self {
        Self::new()
    }
}

/// A port that refuses connections and that nobody else gets: bound, without listening.
pub struct DeadPort(Socket);

impl DeadPort {
    /// A free port of 127.0.0.1.
    pub fn new() -> Self {
        let socket =
            Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
        socket.bind(&local(0).into()).expect("a free port");
        Self(socket)
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        let addr = self.0.local_addr().ok().and_then(|addr| addr.as_socket());
        addr.expect("it is bound").to_string()
    }

    /// From now on it listens.
    pub fn listen(self) -> Peer {
        self.0.listen(128).expect("it is bound");
        let listener = TcpListener::from(self.0);
        listener.set_nonblocking(true).expect("a listener can be made nonblocking");
        Peer(listener)
    }
}

impl Default for DeadPort {
    fn default() -> Self {
        Self::new()
    }
}

/// A port that does not answer connection attempts: its queue is full.
pub struct SilentPort {
    listener: Socket,
    _queued: Vec<Socket>,
}

impl SilentPort {
    /// A free port of 127.0.0.1.
    pub fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&local(0).into()).expect("a free port");
        listener.listen(0).expect("it is bound");
        let addr = listener.local_addr().expect("it is bound");
        // The queue takes one more than its length; the rest stay unanswered.
        let connect = |_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("a socket can be made nonblocking");
            let _ = socket.connect(&addr);
            socket
        };
        let queued = (0..4).map(connect).collect();
        Self { listener, _queued: queued }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        let addr = self.listener.local_addr().ok().and_then(|addr| addr.as_socket());
        addr.expect("it is bound").to_string()
    }
}

impl Default for SilentPort {
    fn default() -> Self {
        Self::new()
    }
}

/// Connects, with bounds on how long reads and writes may take.
pub fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr, PATIENCE);
    patient(stream.unwrap_or_else(|error| panic!("cannot connect to {addr}: {error}")))
}

/// Connects from an address of this machine, of which port 0 is any; `None` where that was reset at once.
pub fn connect_from(source: SocketAddr, addr: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("an option of every socket");
    socket.bind(&source.into()).unwrap_or_else(|error| panic!("cannot bind {source}: {error}"));
    match socket.connect_timeout(&addr.into(), PATIENCE) {
        Ok(()) => Some(patient(socket.into())),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
        Err(error) => panic!("cannot connect to {addr}: {error}"),
    }
}

/// Connects, and waits for the end; whether that was a reset.
pub fn is_turned_away(addr: SocketAddr) -> bool {
    let any = SocketAddr::new(
        if addr.is_ipv4() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        },
        0,
    );
    connect_from(any, addr).is_none_or(|mut stream| ends_with_reset(&mut stream))
}

/// Bounds how long reads and writes may take.
pub fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
    stream
}

/// Closes a connection with a reset.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an option of every socket");
}

/// Reads so many bytes.
pub fn read_exactly(stream: &mut impl Read, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap_or_else(|error| panic!("expected {len} bytes: {error}"));
    bytes
}

/// Reads until the end of file; a reset is a failure.
pub fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .unwrap_or_else(|error| panic!("expected an end of file: {error}"));
    bytes
}

/// Reads whatever comes until the connection ends; whether it ended with a reset.
pub fn ends_with_reset(stream: &mut impl Read) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return true,
            Err(error) => panic!("expected an end: {error}"),
        }
    }
}

/// Bytes that look random and are known at both ends.
pub struct Pattern(u64);

impl Pattern {
    /// The pattern of this seed, from its beginning.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// The next bytes; whole words, so take care to cut at multiples of eight only.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for word in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            word.copy_from_slice(&self.0.to_le_bytes()[..word.len()]);
        }
    }

    /// So many bytes of the pattern of a seed.
    pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        Self::new(seed).fill(&mut bytes);
        bytes
    }

    /// Sends so many bytes.
    pub fn send(seed: u64, len: usize, to: &mut impl Write) {
        let mut pattern = Self::new(seed);
        let mut chunk = vec![0; 64 * 1024];
        let mut left = len;
        while left > 0 {
            let count = left.min(chunk.len());
            pattern.fill(&mut chunk[..count]);
            to.write_all(&chunk[..count])
                .unwrap_or_else(|error| panic!("{left} of {len} bytes not sent: {error}"));
            left -= count;
        }
    }

    /// Reads so many bytes and compares them.
    pub fn expect(seed: u64, len: usize, from: &mut impl Read) {
        let mut pattern = Self::new(seed);
        let (mut chunk, mut wanted) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        let mut left = len;
        while left > 0 {
            let count = left.min(chunk.len());
            let read = from.read_exact(&mut chunk[..count]);
            read.unwrap_or_else(|error| panic!("{left} of {len} bytes did not come: {error}"));
            pattern.fill(&mut wanted[..count]);
            assert!(chunk[..count] == wanted[..count], "other bytes near {} of {len}", len - left);
            left -= count;
        }
    }
}

/// A UDP socket on a free port of 127.0.0.1, with a bound on how long receiving may take.
pub fn udp() -> UdpSocket {
    udp_at(local(0))
}

/// A UDP socket at this address, with a bound on how long receiving may take.
pub fn udp_at(addr: SocketAddr) -> UdpSocket {
    let socket =
        UdpSocket::bind(addr).unwrap_or_else(|error| panic!("cannot bind {addr}: {error}"));
    socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
    socket
}

/// The next datagram and who sent it, which has to come soon.
pub fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = vec![0; 65536];
    let (len, from) =
        socket.recv_from(&mut bytes).unwrap_or_else(|error| panic!("no datagram came: {error}"));
    bytes.truncate(len);
    (bytes, from)
}
