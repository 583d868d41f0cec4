//! A blocking client for the command line: one request, one whole reply.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rosn_config::checked::Secret;

/// Bytes of a reply.
const MAX_REPLY: u64 = 64 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the process is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The control socket.
    Socket(PathBuf),
    /// The admin address, and its token where it has one.
    Address(SocketAddr, Option<Secret>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "control socket {}", path.display()),
            Self::Address(address, _) => write!(f, "admin address {address}"),
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The whole body.
    pub body: String,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("nothing answers on the {target}: {error}")]
    Connect {
        /// Where.
        target: Target,
        /// What the system says.
        error: io::Error,
    },
    /// The connection broke, or the reply took too long.
    #[error("no reply from the {target}: {error}")]
    Io {
        /// Where.
        target: Target,
        /// What the system says.
        error: io::Error,
    },
    /// What came back is not a whole HTTP/1.1 reply.
    #[error("the {target} did not answer as a rosn does: {reason}")]
    Reply {
        /// Where.
        target: Target,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Posts to a path without a body and waits for the whole reply, each step at most `timeout`.
///
/// # Errors
///
/// Where nobody listens, the connection breaks, or the reply is not one.
pub fn post(target: &Target, path: &str, timeout: Duration) -> Result<Answer, ClientError> {
    let failed = |error| ClientError::Io { target: target.clone(), error };
    let mut stream = connect(target, timeout)
        .map_err(|error| ClientError::Connect { target: target.clone(), error })?;
    let token = match target {
        Target::Address(_, Some(Secret(token))) => format!("Authorization: Bearer {token}\r\n"),
        _ => String::new(),
    };
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: rosn\r\n{token}Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut reply = Vec::new();
    stream.take(MAX_REPLY).read_to_end(&mut reply).map_err(failed)?;
    parse(&reply).map_err(|reason| ClientError::Reply { target: target.clone(), reason })
}

trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

fn connect(target: &Target, timeout: Duration) -> io::Result<Box<dyn Connection>> {
    match target {
        Target::Socket(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            Ok(Box::new(stream))
        }
        Target::Address(address, _) => {
            let stream = TcpStream::connect_timeout(address, CONNECT_TIMEOUT.min(timeout))?;
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            Ok(Box::new(stream))
        }
    }
}

fn parse(reply: &[u8]) -> Result<Answer, &'static str> {
    let end = reply.windows(4).position(|at| at == b"\r\n\r\n").ok_or("no end of the head")?;
    let head = str::from_utf8(&reply[..end]).map_err(|_| "the head is not text")?;
    let body = &reply[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or("no status line")?;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err("the reply is chunked");
        }
        if name.eq_ignore_ascii_case("content-length") && value.trim().parse() != Ok(body.len()) {
            return Err("the reply is cut short");
        }
    }
    let body = String::from_utf8_lossy(body).into_owned();
    Ok(Answer { status, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_whole() {
        let reply = b"HTTP/1.1 422 Unprocessable\r\ncontent-length: 3\r\nX: y\r\n\r\nabc";
        assert_eq!(parse(reply), Ok(Answer { status: 422, body: "abc".into() }));
        assert_eq!(parse(&reply[..reply.len() - 1]), Err("the reply is cut short"));
        for bad in [
            &b""[..],
            b"HTTP/1.1",
            b"SSH-2.0\r\n\r\n",
            b"HTTP/1.1 2\r\n\r\n",
            b"HTTP/1.1 \xff\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nobody_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::Socket(folder.path().join("none.sock"));
        let error = post(&target, "/", Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, ClientError::Connect { .. }), "{error}");
        assert!(error.to_string().contains("none.sock"));
    }
}
