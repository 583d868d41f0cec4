//! What HTTP/1.1 asks for by `Upgrade`, asked for by an extended CONNECT (RFC 8441).

use http::{Method, Request};
use rosn_base::Buf;

use super::head::{is_of_connection, line};

/// A protocol that a request asks for, and what the answer has to say.
#[derive(Debug)]
pub(crate) struct Upgrade {
    protocol: String,
    /// `Sec-WebSocket-Key`, which HTTP/2 has no use for.
    key: Option<String>,
}

impl Upgrade {
    /// Makes an extended CONNECT of a request whose text has this `Upgrade`. Of several protocols the first is asked
    /// for: HTTP/2 knows no choice.
    pub(super) fn ask(offer: &[u8], request: &mut Request<()>) -> Option<Self> {
        let protocol = std::str::from_utf8(rosn_h1::list(offer).next()?).ok()?.to_owned();
        let key = request.headers_mut().remove("sec-websocket-key");
        let key = key.and_then(|key| Some(key.to_str().ok()?.to_owned()));
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(::h2::ext::Protocol::from(&*protocol));
        Some(Self { protocol, key })
    }

    /// Appends the text of the response that says yes: where HTTP/2 has a 2xx, HTTP/1.1 has 101.
    pub(super) fn granted_text(&self, head: &http::response::Parts, out: &mut Buf) {
        out.extend(b"HTTP/1.1 101 Switching Protocols\r\n");
        line(b"connection", b"upgrade", out);
        line(b"upgrade", self.protocol.as_bytes(), out);
        if let Some(key) = &self.key {
            let accept = rosn_transport::websocket_accept(key);
            line(b"sec-websocket-accept", accept.as_bytes(), out);
        }
        for (name, value) in &head.headers {
            let is_own = *name == "sec-websocket-accept" || is_of_connection(name);
            let is_body = *name == "content-length";
            if !is_own && !is_body {
                line(name.as_str().as_bytes(), value.as_bytes(), out);
            }
        }
        out.extend(b"\r\n");
    }
}
