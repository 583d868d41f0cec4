//! What a dialer asks for, and what a listener gives.

use std::time::SystemTime;

use http::header::{CACHE_CONTROL, DATE, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use rosn_config::checked::HttpSettings;

/// Headers that belong to the protocol itself, or that HTTP/2 does not have (RFC 9113, 8.2.2).
const OWN: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// `httpSettings`, ready for use.
#[derive(Debug)]
pub(super) struct Rules {
    hosts: Vec<Authority>,
    path: PathAndQuery,
    method: Method,
    headers: HeaderMap,
}

impl Rules {
    /// # Errors
    /// Words that say what cannot be sent.
    pub(super) fn new(settings: &HttpSettings) -> Result<Self, String> {
        let mut hosts = Vec::new();
        for host in &settings.hosts {
            let parsed = host.parse().map_err(|_| format!("the host `{host}` is not one"))?;
            hosts.push(parsed);
        }
        if hosts.is_empty() {
            return Err("there must be a host".to_owned());
        }
        let path = crate::ws::escape_target(&settings.path);
        let bad_path = |_| format!("the path `{}` is not one", settings.path);
        let method = Method::from_bytes(settings.method.as_bytes());
        let bad_method = |_| format!("the method `{}` is not one", settings.method);
        Ok(Self {
            hosts,
            path: path.parse().map_err(bad_path)?,
            method: method.map_err(bad_method)?,
            headers: headers(settings)?,
        })
    }

    /// v2ray's request, to one of the hosts.
    pub(super) fn request(&self, secure: bool) -> Request<()> {
        let host = &self.hosts[fastrand::usize(..self.hosts.len())];
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(if secure { Scheme::HTTPS } else { Scheme::HTTP });
        uri.authority = Some(host.clone());
        uri.path_and_query = Some(self.path.clone());
        let mut request = Request::new(());
        *request.version_mut() = Version::HTTP_2;
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from_parts(uri).expect("scheme, host and path are all there");
        let headers = request.headers_mut();
        headers.insert("accept-encoding", HeaderValue::from_static("identity"));
        headers.insert("user-agent", HeaderValue::from_static("Go-http-client/2.0"));
        self.add_to(headers);
        request
    }

    /// The answer to a request: 200 for one that asks for what is served here, else 404.
    pub(super) fn answer<T>(&self, request: &Request<T>) -> Response<()> {
        let mut response = Response::new(());
        *response.version_mut() = Version::HTTP_2;
        if !self.serves(request) {
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
        let date = httpdate::fmt_http_date(SystemTime::now());
        let date = HeaderValue::try_from(date).expect("a date is text");
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().insert(DATE, date);
        self.add_to(response.headers_mut());
        response
    }

    /// The path begins as ours does, and the host is in the list, with or without the port that the client names.
    fn serves<T>(&self, request: &Request<T>) -> bool {
        let named = request.headers().get("host").and_then(|host| host.to_str().ok()?.parse().ok());
        let asked: Option<Authority> = request.uri().authority().cloned().or(named);
        let host = asked.is_some_and(|asked| {
            self.hosts.iter().any(|host| *host == asked || is_host(host, asked.host()))
        });
        host && request.uri().path().starts_with(self.path.path())
    }

    fn add_to(&self, headers: &mut HeaderMap) {
        for name in self.headers.keys() {
            headers.remove(name);
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
    }
}

fn is_host(authority: &Authority, host: &str) -> bool {
    authority.port().is_none() && authority.host().eq_ignore_ascii_case(host)
}

fn headers(settings: &HttpSettings) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in &settings.headers {
        let bad = |_| format!("the header `{name}` has characters that HTTP does not allow");
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(()))?;
        if OWN.contains(&parsed.as_str()) {
            return Err(format!("the header `{name}` belongs to the protocol itself"));
        }
        for value in values {
            let value = HeaderValue::from_str(value).map_err(|_| bad(()))?;
            headers.append(&parsed, value);
        }
    }
    Ok(headers)
}
