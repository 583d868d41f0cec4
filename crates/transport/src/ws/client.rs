//! The dialer's side of the handshake: the request, and whether the answer is a WebSocket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rosn_base::Addr;
use rosn_config::checked::WebSocketSettings;

use super::early::EarlyData;
use super::handshake::{NAME, accept_key, escape_target, has_token};

/// Headers that the handshake itself sends, so that nobody else may.
const OWN: [&str; 5] = [
    "Connection",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Upgrade",
];

/// What a dialer says.
#[derive(Debug)]
pub(super) struct Request {
    target: String,
    host: Option<String>,
    /// With our own ones but for the key and early data, sorted by name as Go does.
    headers: Vec<(String, String)>,
    user_agent: String,
    pub(super) early: EarlyData,
}

impl Request {
    /// # Errors
    /// Words that say which header cannot be sent.
    pub(super) fn new(settings: &WebSocketSettings) -> Result<Self, String> {
        let mut request = Self {
            target: escape_target(&settings.path),
            host: None,
            headers: vec![
                ("Connection".to_owned(), "Upgrade".to_owned()),
                ("Sec-WebSocket-Version".to_owned(), "13".to_owned()),
                ("Upgrade".to_owned(), "websocket".to_owned()),
            ],
            user_agent: NAME.to_owned(),
            early: EarlyData::new(settings),
        };
        let text = |value: &str| http::HeaderValue::from_str(value).is_ok();
        if let EarlyData::Header { name, .. } = &request.early
            && (http::HeaderName::from_bytes(name.as_bytes()).is_err() || is_own(name))
        {
            return Err(format!("early data cannot go in a header called `{name}`"));
        }
        for (name, value) in &settings.headers {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() || !text(value) {
                return Err(format!("the header `{name}` has characters that HTTP does not allow"));
            }
            if is_own(name) {
                return Err(format!("the header `{name}` belongs to the handshake itself"));
            }
            match name.as_str() {
                name if name.eq_ignore_ascii_case("host") => request.host = Some(value.clone()),
                name if name.eq_ignore_ascii_case("user-agent") => {
                    request.user_agent.clone_from(value)
                }
                _ => request.headers.push((name.clone(), value.clone())),
            }
        }
        Ok(request)
    }

    /// The head to send: v2ray's, byte by byte, but for the name of the program.
    pub(super) fn head(&self, to: &Addr, secure: bool, key: &str, early: &[u8]) -> String {
        let encoded = EarlyData::encode(early);
        let mut headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.push(("Sec-WebSocket-Key", key));
        let mut tail = "";
        match &self.early {
            EarlyData::Path { .. } => tail = &encoded,
            EarlyData::Header { name, .. } if !early.is_empty() => headers.push((name, &encoded)),
            _ => {}
        }
        headers.sort_by_key(|(name, _)| *name);
        let host = match &self.host {
            Some(host) => host.clone(),
            None => host_of(to, secure),
        };
        let mut head = format!(
            "GET {}{tail} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {}\r\n",
            self.target, self.user_agent
        );
        for (name, value) in headers {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        head
    }
}

fn is_own(name: &str) -> bool {
    OWN.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// The host of a URL: with the port where it is not the scheme's own.
fn host_of(to: &Addr, secure: bool) -> String {
    let own = if secure { 443 } else { 80 };
    match to {
        Addr::Ip(addr) if addr.port() == own && addr.is_ipv6() => format!("[{}]", addr.ip()),
        Addr::Ip(addr) if addr.port() == own => addr.ip().to_string(),
        Addr::Name(name, port) if *port == own => name.to_string(),
        Addr::Unix(_) => "localhost".to_owned(),
        to => to.to_string(),
    }
}

/// A fresh key, of 16 random bytes.
pub(super) fn key() -> String {
    // It is no secret: it only shows that the answer is one to this request (RFC 6455, 1.3).
    STANDARD.encode(fastrand::u128(..).to_ne_bytes())
}

/// Checks the answer's head (RFC 6455, 4.1), and says whether it is rosn's.
///
/// # Errors
/// Words that say what it is instead.
pub(super) fn check(head: &[u8], key: &str) -> Result<bool, String> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        _ => return Err("the answer is not HTTP".to_owned()),
    }
    let code = response.code.unwrap_or_default();
    if code != 101 {
        let reason = response.reason.unwrap_or_default();
        let hint = match code {
            404 => "; is the path the same on both sides?",
            200..=299 => "; it is no WebSocket server",
            _ => "",
        };
        return Err(format!("the answer is {code} {reason}, not 101{hint}"));
    }
    let values = |name: &'static str| {
        let named = response.headers.iter().filter(move |it| it.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value)
    };
    if !values("Upgrade").any(|value| has_token(value, "websocket"))
        || !values("Connection").any(|value| has_token(value, "upgrade"))
    {
        return Err("the answer is 101, but not for a WebSocket".to_owned());
    }
    if values("Sec-WebSocket-Accept").next() != Some(accept_key(key).as_bytes()) {
        return Err("the answer is to another request than ours".to_owned());
    }
    if values("Sec-WebSocket-Extensions").any(|value| !value.trim_ascii().is_empty()) {
        return Err("the answer has extensions that were not asked for".to_owned());
    }
    Ok(values("Server").any(|value| value == NAME.as_bytes()))
}
