//! The head of a request as HTTP/2 has it.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, COOKIE};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use rosn_h1::Framing;
use rosn_trace::{Event, Interest, TraceHandle};

use super::super::head::{Head, authority};
use crate::connect::Target;
use crate::error::Kind;
use crate::http2::{Protocol, strip};
use crate::{Error, Phase};

impl Head {
    /// What extended CONNECT asks for (RFC 8441).
    pub(in crate::transport) fn protocol(&self) -> Option<&Protocol> {
        self.parts.extensions.get().filter(|_| self.parts.method == Method::CONNECT)
    }

    /// The head without the fields of HTTP/1.1.
    ///
    /// # Errors
    /// Its Host or its target cannot be said: [`Phase::Request`].
    pub(super) fn for_http2(&self, target: &Target) -> Result<Request<()>, Error> {
        let mut request = Request::new(());
        *request.method_mut() = self.parts.method.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri(target).map_err(|error| {
            let what = "its target cannot be said in HTTP/2";
            let error = Error::of(Phase::Request, Kind::Failed).what(what).because(error);
            error.at(Arc::clone(&target.authority))
        })?;
        let mut headers = self.parts.headers.clone();
        strip(&mut headers);
        headers.remove(CONTENT_LENGTH);
        if let Some(length) = self.announced() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        split_cookies(&mut headers);
        *request.headers_mut() = headers;
        if let Some(protocol) = self.protocol() {
            request.extensions_mut().insert(protocol.clone().into_h2());
        }
        Ok(request)
    }

    fn uri(&self, target: &Target) -> Result<Uri, http::Error> {
        let own = &self.parts.uri;
        let host = match &self.host {
            Some(host) => host.as_bytes(),
            None => authority(own).as_bytes(),
        };
        let uri = Uri::builder().authority(host);
        if self.parts.method == Method::CONNECT && self.protocol().is_none() {
            return uri.build();
        }
        let path = match own.path_and_query().map(PathAndQuery::as_str) {
            // A query alone.
            Some(path) if !path.starts_with(['/', '*']) => format!("/{path}").try_into()?,
            Some(_) => own.path_and_query().cloned().unwrap_or_else(root),
            None => root(),
        };
        let scheme = match target.scheme {
            crate::connect::Scheme::Http => Scheme::HTTP,
            crate::connect::Scheme::Https => Scheme::HTTPS,
        };
        uri.scheme(scheme).path_and_query(path).build()
    }

    /// What Content-Length says.
    pub(super) fn announced(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(length) if self.says_length => Some(length),
            _ => None,
        }
    }
}

fn root() -> PathAndQuery {
    PathAndQuery::from_static("/")
}

/// A field for each cookie, which compresses better (RFC 9113 section 8.2.3), as Go does.
fn split_cookies(headers: &mut HeaderMap) {
    let is_list = |value: &HeaderValue| value.as_bytes().windows(2).any(|pair| pair == b"; ");
    if !headers.get_all(COOKIE).iter().any(is_list) {
        return;
    }
    let values: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for value in values {
        let crumbs = value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        for crumb in crumbs.filter(|crumb| !crumb.is_empty()) {
            let mut crumb = HeaderValue::from_bytes(crumb).expect("it is a part of a value");
            crumb.set_sensitive(value.is_sensitive());
            headers.append(COOKIE, crumb);
        }
    }
}

/// Reports the fields in the order in which h2 writes them.
pub(super) fn report(request: &Request<()>, trace: &TraceHandle) {
    if !trace.wants(Interest::FIELDS) {
        return;
    }
    let uri = request.uri();
    let protocol = request.extensions().get::<h2::ext::Protocol>();
    let is_plain_connect = request.method() == Method::CONNECT && protocol.is_none();
    let path = uri.path_and_query().map(PathAndQuery::as_str).filter(|_| !is_plain_connect);
    let pseudo = [
        (":method", Some(request.method().as_str())),
        (":scheme", uri.scheme_str()),
        (":authority", uri.authority().map(|authority| authority.as_str())),
        (":path", path),
        (":protocol", protocol.map(h2::ext::Protocol::as_str)),
    ];
    for (name, value) in pseudo {
        let Some(Ok(value)) = value.map(HeaderValue::from_str) else { continue };
        trace.emit(Interest::FIELDS, || Event::WroteHeaderField { name, value: &value });
    }
    for (name, value) in request.headers() {
        let name = name.as_str();
        trace.emit(Interest::FIELDS, || Event::WroteHeaderField { name, value });
    }
}
