//! Where a redirect leads, and with what (Go's `http.Client`).

use std::time::Duration;

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_TYPE, COOKIE, EXPECT, HOST, LOCATION, PROXY_AUTHORIZATION, REFERER, TRAILER,
    TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use http::uri::{Authority, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, request};
use http_body::Body as _;
use percent_encoding::{CONTROLS, percent_decode_str, percent_encode};
use rosn_trace::{Event, Interest, TraceHandle};
use tokio::time::timeout;
use url::Url;

use super::Hop;
use crate::connect::{Target, from_url};
use crate::error::Kind;
use crate::field_values::basic;
use crate::{Body, Error, Phase};

/// What is only for the first server, and for those that belong to it.
const SENSITIVE: [HeaderName; 4] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE];

/// What means nothing without a body.
const OF_A_BODY: [HeaderName; 8] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_LOCATION,
    CONTENT_TYPE,
    EXPECT,
    TRAILER,
    TRANSFER_ENCODING,
];

/// So much of a redirect's own body is read, so that its connection can be used again (Go's number).
const DRAINED: u64 = 2048;

/// So long is waited for that.
const DRAINED_FOR: Duration = Duration::from_millis(250);

/// The request of a chain of redirects that is to be sent.
pub(super) struct Redirected {
    parts: request::Parts,
    /// Where it goes.
    target: Target,
    /// Where the first one went.
    first: Target,
    /// It has been elsewhere: what was meant for the first server is not sent any more.
    has_left: bool,
    pub(super) redirects: u32,
    /// The caller's own Referer stays.
    has_referer: bool,
}

/// Where a response leads.
pub(super) struct Next {
    pub(super) uri: Uri,
    pub(super) keeps_body: bool,
    method: Method,
    target: Target,
    /// Location was no more than a path.
    is_relative: bool,
}

impl Redirected {
    /// The first request.
    pub(super) fn new(mut parts: request::Parts) -> Result<Self, Error> {
        take_credentials(&mut parts.uri, &mut parts.headers);
        let target = Target::direct(&parts.uri)?;
        let has_referer = parts.headers.contains_key(REFERER);
        let first = target.clone();
        Ok(Self { parts, target, first, has_left: false, redirects: 0, has_referer })
    }

    /// The request, with this body.
    pub(super) fn request(&self, body: Body) -> Request<Body> {
        let mut request = Request::from_parts(self.parts.clone(), body);
        request.extensions_mut().insert(self.hop());
        request
    }

    pub(super) fn hop(&self) -> Hop {
        Hop { redirects: self.redirects, uri: self.parts.uri.clone() }
    }

    /// Where its response leads; `None` where that is for the caller.
    ///
    /// # Errors
    /// [`Phase::Redirect`]: to nowhere.
    pub(super) fn next(&self, response: &Response<Body>) -> Result<Option<Next>, Error> {
        let (method, keeps_body) = match response.status() {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => {
                let stays = matches!(self.parts.method, Method::GET | Method::HEAD);
                (if stays { self.parts.method.clone() } else { Method::GET }, false)
            }
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
                (self.parts.method.clone(), true)
            }
            _ => return Ok(None),
        };
        let location = match response.headers().get(LOCATION) {
            Some(location) if !location.is_empty() => text(location),
            _ => return Ok(None),
        };
        let joined = Url::parse(&self.parts.uri.to_string()).and_then(|url| url.join(&location));
        let url = joined.map_err(|error| self.failed(format!("its Location: {error}")))?;
        let uri = from_url(&url);
        let uri = uri.map_err(|_| self.failed("its Location is neither http nor https"))?;
        let target = Target::direct(&uri).map_err(|_| self.failed("its Location has no host"))?;
        let is_path = Url::parse(&location) == Err(url::ParseError::RelativeUrlWithoutBase);
        let is_relative = is_path && target == self.target;
        Ok(Some(Next { uri, keeps_body, method, target, is_relative }))
    }

    /// Goes there.
    pub(super) fn follow(&mut self, next: Next) {
        let headers = &mut self.parts.headers;
        self.has_left |= !belongs(&next.target, &self.first);
        if self.has_left {
            SENSITIVE.iter().for_each(|name| drop(headers.remove(name)));
            ["cookie2", "proxy-authenticate"].iter().for_each(|name| drop(headers.remove(*name)));
        }
        if !next.keeps_body {
            OF_A_BODY.iter().for_each(|name| drop(headers.remove(name)));
        }
        if !next.is_relative {
            headers.remove(HOST);
        }
        let is_downgrade = self.target.scheme > next.target.scheme;
        if is_downgrade {
            headers.remove(REFERER);
        } else if !self.has_referer
            && let Ok(referer) = HeaderValue::try_from(self.parts.uri.to_string())
        {
            headers.insert(REFERER, referer);
        }
        self.parts.uri = next.uri;
        take_credentials(&mut self.parts.uri, headers);
        self.parts.method = next.method;
        self.target = next.target;
        self.redirects += 1;
    }

    /// An error of the last response.
    pub(super) fn failed(&self, what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        let error = Error::of(Phase::Redirect, Kind::Failed).what(what);
        error.at(self.target.authority.clone())
    }
}

/// Whether what was meant for `first` may go to `next`: the same server, or one below its name. Never in clear what was
/// protected.
fn belongs(next: &Target, first: &Target) -> bool {
    let is_default = |target: &Target| target.port() == target.scheme.default_port();
    let same_port = next.port() == first.port() || (is_default(next) && is_default(first));
    let below = next.host().strip_suffix(first.host());
    // Addresses have nothing below them.
    let is_name =
        !first.host().contains(':') && first.host().parse::<std::net::Ipv4Addr>().is_err();
    let same_host = below.is_some_and(|rest| rest.is_empty() || (is_name && rest.ends_with('.')));
    same_host && same_port && next.scheme >= first.scheme
}

/// Moves user and password from a URI to Authorization (RFC 7617, marked as sensitive), where there is none yet.
///
/// A [`Client`](super::Client) does so itself; this is for who shows the URI, or sends the request by something else.
pub fn take_credentials(uri: &mut Uri, headers: &mut HeaderMap) {
    let Some((user, host)) = uri.authority().and_then(|whole| whole.as_str().rsplit_once('@'))
    else {
        return;
    };
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let plain = |text| percent_decode_str(text).collect::<Vec<u8>>();
    let value = basic(&plain(user), &plain(password));
    let host = host.parse::<Authority>();
    headers.entry(AUTHORIZATION).or_insert(value);
    let mut parts = std::mem::take(uri).into_parts();
    parts.authority = host.ok();
    // What was an authority with a user is one without.
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// Location as text: some servers send bytes of UTF-8, and some of other sets, which are kept as they are.
fn text(location: &HeaderValue) -> String {
    match std::str::from_utf8(location.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => percent_encode(location.as_bytes(), CONTROLS).to_string(),
    }
}

/// Tells of a redirect that is followed.
pub(super) fn emit(trace: &TraceHandle, status: StatusCode, uri: &Uri, redirects: u32) {
    trace.emit(Interest::RETRY, || Event::Redirect { status, uri, redirects });
}

/// Reads what there is of a short body, so that its connection can be used again.
pub(super) async fn drain(response: Response<Body>) {
    let mut body = response.into_body();
    if body.size_hint().exact().is_some_and(|length| length > DRAINED) {
        return;
    }
    let read = async {
        let mut left = DRAINED;
        while let Some(Ok(frame)) = body.next().await {
            let count = frame.data_ref().map_or(0, |data| data.len() as u64);
            left = left.saturating_sub(count);
            if left == 0 {
                return;
            }
        }
    };
    // Where that does not work, the connection is closed, and that is all.
    let _ = timeout(DRAINED_FOR, read).await;
}
