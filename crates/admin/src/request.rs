//! A request as a handler sees it, and its reply.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use percent_encoding::percent_decode;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

/// Bytes of a request body.
const MAX_BODY: usize = 1024 * 1024;
/// Time for a whole request body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A whole reply.
pub(crate) type Reply = Response<Full<Bytes>>;

/// The query of a request, decoded.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=2`, with `%` and `+` decoded.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        Self(pairs.collect())
    }

    /// The first value of a key.
    pub(crate) fn first(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// Every value of a key.
    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |pair| pair.0 == key).map(|pair| pair.1.as_str())
    }

    /// The keys, each once.
    pub(crate) fn keys(&self) -> Vec<&str> {
        let mut keys: Vec<_> = self.0.iter().map(|pair| pair.0.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned()
}

/// Reads a body, or gives the reply that says why not.
pub(crate) async fn read_body(body: Incoming) -> Result<Bytes, Reply> {
    let whole = Limited::new(body, MAX_BODY).collect();
    match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(text(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB\n"))
        }
        Ok(Err(_)) => Err(failure(StatusCode::BAD_REQUEST, "read body error")),
        Err(_) => Err(text(StatusCode::REQUEST_TIMEOUT, "the body took more than 10 s\n")),
    }
}

/// Plain text.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    reply(status, "text/plain; charset=utf-8", body.into())
}

/// JSON on one line, without a line end: MOSN's `json.Marshal`.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(value).expect("values with text keys");
    reply(status, "application/json", body.into())
}

/// JSON with an indent of one space: MOSN's `json.MarshalIndent`.
pub(crate) fn json_indented(status: StatusCode, value: &impl Serialize) -> Reply {
    let mut body = Vec::new();
    let mut out = Serializer::with_formatter(&mut body, PrettyFormatter::with_indent(b" "));
    value.serialize(&mut out).expect("values with text keys");
    reply(status, "application/json", body.into())
}

/// MOSN's JSON of an error. The message is one of our own, without quotes.
pub(crate) fn failure(status: StatusCode, message: &str) -> Reply {
    let body = format!("{{\n\t\"error\": \"{message}\"\n}}\n");
    reply(status, "application/json", body.into())
}

/// A reply with a content type.
pub(crate) fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("key=a%20b&key=c+d&&flag&x=%zz=%C3%A9");
        assert_eq!(query.all("key").collect::<Vec<_>>(), ["a b", "c d"]);
        assert_eq!(query.first("flag"), Some(""));
        assert_eq!(query.first("x"), Some("%zz=é"));
        assert_eq!(query.first("y"), None);
        assert_eq!(query.keys(), ["flag", "key", "x"]);
        assert_eq!(Query::parse("").keys(), [""; 0]);
    }
}
