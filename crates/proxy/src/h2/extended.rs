//! What HTTP/1.1 asks for by `Upgrade`, asked for by an extended CONNECT (RFC 8441).

use http::{Method, Request};
use rosn_base::Buf;

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
        let mut text = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
        text.extend_from_slice(b"connection: upgrade\r\nupgrade: ");
        text.extend_from_slice(self.protocol.as_bytes());
        text.extend_from_slice(b"\r\n");
        if let Some(key) = &self.key {
            text.extend_from_slice(b"sec-websocket-accept: ");
            text.extend_from_slice(rosn_transport::websocket_accept(key).as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        for (name, value) in &head.headers {
            let is_own = *name == "sec-websocket-accept" || super::head::is_of_connection(name);
            let is_body = *name == "content-length";
            if !is_own && !is_body {
                super::head::line(name, value, &mut text);
            }
        }
        text.extend_from_slice(b"\r\n");
        out.extend(&text);
    }
}
