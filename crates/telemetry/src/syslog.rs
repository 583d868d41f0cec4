//! Sends lines to a syslog daemon, in the form of RFC 3164.

use std::io;
use std::net::{ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Zoned;

const LOCAL_SOCKET: &str = "/dev/log";
const DEFAULT_TAG: &str = "rosn";
const DEFAULT_PORT: u16 = 514;
/// LOCAL0, as MOSN sends to.
const FACILITY: u8 = 16;
/// RFC 3164 section 4.1 says 1024; daemons of today take 8 KiB, and cut lines help nobody.
const MAX_DATAGRAM_BYTES: usize = 8 * 1024;

/// The severities of RFC 3164 table 2 that logs use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Critical = 2,
    Error = 3,
    Warning = 4,
    Informational = 6,
    Debug = 7,
}

/// What stands before each message.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    /// Remote daemons want the name of the host; the local one knows it.
    host: Option<String>,
    tag: String,
}

impl Header {
    /// Appends `<134>Nov 21 08:00:00 host tag[pid]: ` (RFC 3164 section 4.1.1 to 4.1.3).
    pub(crate) fn write(&self, severity: Severity, now: &Zoned, out: &mut Vec<u8>) {
        let priority = FACILITY * 8 + severity as u8;
        let time = now.strftime("%b %e %H:%M:%S");
        let host = self.host.as_deref().unwrap_or_default();
        let space = if host.is_empty() { "" } else { " " };
        let (tag, pid) = (&self.tag, std::process::id());
        out.extend_from_slice(format!("<{priority}>{time} {host}{space}{tag}[{pid}]: ").as_bytes());
    }
}

/// A connected syslog socket.
#[derive(Debug)]
pub(crate) enum Syslog {
    /// The daemon of this host.
    Local(UnixDatagram, PathBuf),
    /// One at an address.
    Remote(UdpSocket),
}

impl Syslog {
    /// Connects. `address` is `host[:port][/tag]`; `None` is this host's daemon. Names are resolved once.
    pub(crate) fn open(address: Option<&str>) -> io::Result<(Self, Header)> {
        let Some(address) = address else { return Self::local(Path::new(LOCAL_SOCKET)) };
        let (address, tag) = address.split_once('/').unwrap_or((address, ""));
        let tag = if tag.is_empty() { DEFAULT_TAG } else { tag }.to_owned();
        let has_port = address.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok())
            && (address.starts_with('[') || address.matches(':').count() == 1);
        let mut found = if has_port {
            address.to_socket_addrs()?
        } else {
            (address.trim_matches(['[', ']']), DEFAULT_PORT).to_socket_addrs()?
        };
        let peer = found.next().ok_or_else(|| io::Error::other("the name has no address"))?;
        let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.connect(peer)?;
        Ok((Self::Remote(socket), Header { host: Some(host_name()), tag }))
    }

    fn local(path: &Path) -> io::Result<(Self, Header)> {
        let header = Header { host: None, tag: DEFAULT_TAG.to_owned() };
        Ok((Self::Local(connect(path)?, path.to_owned()), header))
    }

    /// Sends each line, which has its header already, as a datagram.
    ///
    /// # Errors
    /// The first one, after all lines have been tried.
    pub(crate) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut result = Ok(());
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line = &line[..line.len().min(MAX_DATAGRAM_BYTES)];
            let sent = match self {
                Self::Remote(socket) => socket.send(line),
                // The daemon may have been started anew since: once more, on a new socket.
                Self::Local(socket, path) => socket.send(line).or_else(|_| {
                    *socket = connect(path)?;
                    socket.send(line)
                }),
            };
            result = result.and(sent.map(drop));
        }
        result
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A daemon that hangs must not hang the logs of everything else.
    socket.set_write_timeout(Some(Duration::from_secs(1)))?;
    socket.connect(path)?;
    Ok(socket)
}

/// The host's name without its domain, as RFC 3164 section 4.1.2 wants it.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().split('.').next().unwrap_or_default();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2026-11-02T08:00:00+00:00[+00:00]".parse().unwrap()
    }

    #[test]
    fn a_remote_daemon_gets_one_datagram_a_line() {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        daemon.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = format!("{}/edge", daemon.local_addr().unwrap());
        let (mut syslog, mut header) = Syslog::open(Some(&address)).unwrap();
        header.host = Some("box".to_owned());
        let mut lines = Vec::new();
        header.write(Severity::Error, &now(), &mut lines);
        lines.extend_from_slice(b"it broke\n");
        header.write(Severity::Debug, &now(), &mut lines);
        lines.extend_from_slice(&[b'x'; 9000]);
        syslog.write(&lines).unwrap();
        let mut datagram = [0; 10_000];
        let size = daemon.recv(&mut datagram).unwrap();
        let expected = format!("<131>Nov  2 08:00:00 box edge[{}]: it broke", std::process::id());
        assert_eq!(std::str::from_utf8(&datagram[..size]).unwrap(), expected);
        let size = daemon.recv(&mut datagram).unwrap();
        assert_eq!(size, MAX_DATAGRAM_BYTES);
        assert!(datagram.starts_with(b"<135>Nov  2"));
    }

    #[test]
    fn a_local_daemon_may_be_started_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let (mut syslog, header) = Syslog::local(&path).unwrap();
        syslog.write(b"one\n").unwrap();
        let mut datagram = [0; 100];
        assert_eq!(daemon.recv(&mut datagram).unwrap(), 3);
        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        assert!(syslog.write(b"lost\n").is_err());
        let daemon = UnixDatagram::bind(&path).unwrap();
        syslog.write(b"two\n").unwrap();
        assert_eq!(daemon.recv(&mut datagram).unwrap(), 3);
        assert_eq!(&datagram[..3], b"two");
        let mut out = Vec::new();
        header.write(Severity::Informational, &now(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("<134>Nov  2 08:00:00 rosn[{}]: ", std::process::id())
        );
    }

    #[test]
    fn the_port_and_the_tag_may_be_left_out() {
        for address in ["127.0.0.1", "127.0.0.1/x", "[::1]:5140/x", "::1", "[::1]"] {
            let (syslog, header) = Syslog::open(Some(address)).unwrap();
            let Syslog::Remote(socket) = syslog else { panic!("not remote") };
            let port = if address.contains("5140") { 5140 } else { 514 };
            assert_eq!(socket.peer_addr().unwrap().port(), port, "{address}");
            assert_eq!(header.tag, if address.ends_with("/x") { "x" } else { "rosn" });
        }
        assert!(Syslog::open(Some("")).is_err());
    }
}
