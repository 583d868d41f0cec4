//! The listener's side of the handshake: what a request gets for an answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rosn_config::checked::WebSocketSettings;

use super::early::EarlyData;
use super::handshake::{NAME, accept_key, escape_target, has_token, with_slash};

/// Headers of a request; more than any browser sends.
const HEADERS: usize = 100;

/// The answer to a request.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// A WebSocket from now on.
    Accept {
        /// The response.
        response: String,
        /// The first bytes of the application, which came with the request.
        early: Bytes,
        /// The client says that it is rosn.
        is_rosn: bool,
    },
    /// The connection ends.
    Refuse {
        /// The response.
        response: String,
        /// Why, for the log.
        why: &'static str,
    },
}

/// The rules of a listener.
#[derive(Debug)]
pub(super) struct Rules {
    /// The path that is served, without its query, as it may be sent: with and without escapes.
    path: String,
    escaped: String,
    early: EarlyData,
}

impl Rules {
    pub(super) fn new(settings: &WebSocketSettings) -> Self {
        let target = escape_target(&settings.path);
        let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
        Self {
            path: path(&with_slash(&settings.path)),
            escaped: path(&target),
            early: EarlyData::new(settings),
        }
    }

    /// Answers a request, whose head this is, with its empty line.
    ///
    /// The order of the checks is v2ray's: path, method, upgrade, version, key.
    pub(super) fn answer(&self, head: &[u8]) -> Answer {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            _ => return bad_request("it is not HTTP"),
        }
        let target = request.path.unwrap_or_default();
        let request =
            Request { headers: request.headers, method: request.method, version: request.version };
        let (value, echo) = match &self.early {
            EarlyData::Off if self.serves(path_of(target)) => ("", false),
            EarlyData::Header { name, .. } if self.serves(path_of(target)) => {
                let echo = name.eq_ignore_ascii_case("Sec-WebSocket-Protocol");
                (request.header(name).unwrap_or_default(), echo)
            }
            EarlyData::Path { .. } => match self.tail(target) {
                Some(tail) => (tail, false),
                None => return not_found(),
            },
            _ => return not_found(),
        };
        let Some(early) = EarlyData::decode(value) else {
            return bad_request("its early data are not base64");
        };
        let key = match request.check() {
            Ok(key) => key,
            Err(refusal) => return refusal,
        };
        let mut response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n",
            accept_key(key)
        );
        let is_rosn = request.header("User-Agent") == Some(NAME);
        if is_rosn {
            response.push_str("Server: ");
            response.push_str(NAME);
            response.push_str("\r\n");
        }
        if echo && !value.is_empty() {
            response.push_str("Sec-WebSocket-Protocol: ");
            response.push_str(value);
            response.push_str("\r\n");
        }
        response.push_str("\r\n");
        Answer::Accept { response, early, is_rosn }
    }

    fn serves(&self, path: &str) -> bool {
        path == self.path || path == self.escaped
    }

    /// What follows the path in the target of a request.
    fn tail<'a>(&self, target: &'a str) -> Option<&'a str> {
        target.strip_prefix(&*self.path).or_else(|| target.strip_prefix(&*self.escaped))
    }
}

/// A request that was parsed.
struct Request<'h, 'b> {
    headers: &'h [httparse::Header<'b>],
    method: Option<&'b str>,
    version: Option<u8>,
}

impl Request<'_, '_> {
    /// The value of a header that is text; the first, as in Go.
    fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        let named = self.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.into_iter().any(|header| has_token(header.value, token))
    }

    /// Checks what RFC 6455, 4.2.1 demands, and returns the key.
    fn check(&self) -> Result<&str, Answer> {
        if self.method != Some("GET") {
            return Err(refuse(
                "405 Method Not Allowed",
                "Allow: GET\r\n",
                "its method is not GET",
            ));
        }
        if self.version != Some(1)
            || !self.has_token("Connection", "upgrade")
            || !self.has_token("Upgrade", "websocket")
        {
            return Err(bad_request("it does not ask for a WebSocket"));
        }
        if self.header("Sec-WebSocket-Version") != Some("13") {
            return Err(bad_request("it is of another version than 13"));
        }
        let key = self.header("Sec-WebSocket-Key").unwrap_or_default();
        match STANDARD.decode(key) {
            Ok(nonce) if nonce.len() == 16 => Ok(key),
            _ => Err(bad_request("its key is not 16 bytes of base64")),
        }
    }
}

/// The answer to a head that is longer than the limit.
pub(super) fn too_long() -> Answer {
    refuse("431 Request Header Fields Too Large", "", "its head is too long")
}

fn not_found() -> Answer {
    refuse("404 Not Found", "", "nothing is served at its path")
}

fn bad_request(why: &'static str) -> Answer {
    refuse("400 Bad Request", "Sec-WebSocket-Version: 13\r\n", why)
}

fn refuse(status: &str, header: &str, why: &'static str) -> Answer {
    let response =
        format!("HTTP/1.1 {status}\r\n{header}Connection: close\r\nContent-Length: 0\r\n\r\n");
    Answer::Refuse { response, why }
}

fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}
