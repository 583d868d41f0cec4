//! A thin client above a [`RoundTrip`]: redirects, cookies, a limit of time.

mod cookies;
mod hop;
mod redirect;

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, COOKIE};
use http::{HeaderValue, Method, Request, Response};
use rosn_trace::RequestTraceExt as _;

use crate::connect::uri;
use crate::error::Kind;
use crate::{Body, Error, Phase, RoundTrip};
pub use cookies::CookieJar;
pub use hop::Hop;
pub use redirect::take_credentials;
use redirect::{Next, Redirected};

/// How many redirects are followed (Go's number).
const MAX_REDIRECTS: u32 = 10;

/// Sends requests, follows redirects, keeps cookies. Cloning it is cheap.
///
/// ```
/// use rosn_http::RoundTrip;
/// use rosn_http::client::{Client, CookieJar, Hop};
///
/// # async fn get(transport: impl RoundTrip + 'static) -> Result<(), rosn_http::Error> {
/// let client = Client::new(transport).with_cookies(CookieJar::new());
/// let response = client.get("http://example.com/").await?;
/// let last = response.extensions().get::<Hop>().expect("each response has one");
/// println!("{} from {} after {} redirects", response.status(), last.uri, last.redirects);
/// let body = response.into_body().bytes(1 << 20).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Redirects
///
/// As Go's `http.Client` does:
///
/// * 301, 302 and 303 are followed with GET and without a body (HEAD stays HEAD), 307 and 308 with the same method and
///   body. Where the body cannot be sent again ([`Body::try_clone`]), or there is no Location, the response is the
///   caller's. After ten redirects there is an error.
/// * Authorization, Cookie and the like do not go to another host, unless it is below the first one's name; nor from
///   `https` to `http`, nor to another port, which Go would allow. Once left out they stay so for the rest of the chain.
/// * Referer is the URI before, but not from `https` to `http`.
///
/// # Traces
///
/// Each request of a chain has the extensions of the first, and so its trace and its context: all events come again for
/// each. [`Event::Redirect`](rosn_trace::Event::Redirect) stands between them, and the request and its response carry
/// a [`Hop`].
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn RoundTrip>,
    cookies: Option<CookieJar>,
    max_redirects: u32,
    timeout: Option<Duration>,
}

impl Client {
    /// A client without cookies that follows ten redirects.
    pub fn new(transport: impl RoundTrip + 'static) -> Self {
        let transport = Arc::new(transport);
        Self { transport, cookies: None, max_redirects: MAX_REDIRECTS, timeout: None }
    }

    /// Keeps the cookies that servers set, and sends them where they belong.
    #[must_use]
    pub fn with_cookies(mut self, jar: CookieJar) -> Self {
        self.cookies = Some(jar);
        self
    }

    /// Follows so many redirects; with 0 each response is the caller's.
    #[must_use]
    pub fn with_max_redirects(mut self, max: u32) -> Self {
        self.max_redirects = max;
        self
    }

    /// Gives a request so much time, with its redirects and until its response's body has been read. Its context may
    /// give it less.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Gets what is at a URL, as people write it.
    ///
    /// # Errors
    /// The URL is none, or those of [`Client::request`].
    pub async fn get(&self, url: &str) -> Result<Response<Body>, Error> {
        self.request(request(Method::GET, url, Body::empty())?).await
    }

    /// Gets the head of what is at a URL.
    ///
    /// # Errors
    /// The URL is none, or those of [`Client::request`].
    pub async fn head(&self, url: &str) -> Result<Response<Body>, Error> {
        self.request(request(Method::HEAD, url, Body::empty())?).await
    }

    /// Posts `body`, which is of this media type.
    ///
    /// # Errors
    /// The URL is none, the media type cannot be sent, or those of [`Client::request`].
    pub async fn post(
        &self,
        url: &str,
        media_type: &str,
        body: impl Into<Body>,
    ) -> Result<Response<Body>, Error> {
        let mut request = request(Method::POST, url, body.into())?;
        let media_type =
            HeaderValue::try_from(media_type).map_err(|error| Error::new(Phase::Request, error))?;
        request.headers_mut().insert(CONTENT_TYPE, media_type);
        self.request(request).await
    }

    /// Sends a request. A user and a password in its URI are sent as Authorization, where there is none yet.
    ///
    /// Cancel safety: dropping the future gives the request up.
    ///
    /// # Errors
    /// Those of the [`RoundTrip`]. [`Phase::Redirect`] where a redirect leads nowhere, or there are too many.
    pub async fn request(&self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        if let Some(timeout) = self.timeout {
            let context = request.context().with_timeout(timeout);
            request.set_context(context);
        }
        if request.method() == Method::CONNECT {
            // It asks for a connection, which leads nowhere else.
            return self.transport.round_trip(request).await;
        }
        let trace = request.trace();
        let (first, mut body) = request.into_parts();
        let mut chain = Redirected::new(first)?;
        loop {
            if self.max_redirects == 0 {
                return self.send(&chain, body).await;
            }
            let again = body.try_clone();
            let response = self.send(&chain, body).await?;
            let Some(next) = chain.next(&response)? else { return Ok(response) };
            let Next { uri, keeps_body, .. } = &next;
            body = match (keeps_body, again) {
                (false, _) => Body::empty(),
                (true, Some(body)) => body,
                (true, None) => return Ok(response),
            };
            if chain.redirects == self.max_redirects {
                let what = format!("stopped after {} redirects", self.max_redirects);
                return Err(chain.failed(what).kind(Kind::TooLarge));
            }
            let status = response.status();
            // All events of this response come before the redirect.
            redirect::drain(response).await;
            redirect::emit(&trace, status, uri, chain.redirects + 1);
            chain.follow(next);
        }
    }

    async fn send(&self, chain: &Redirected, body: Body) -> Result<Response<Body>, Error> {
        let (mut request, hop) = (chain.request(body), chain.hop());
        if let Some(kept) = self.cookies.as_ref().and_then(|jar| jar.header(&hop.uri)) {
            // A cookie of the caller's may have been changed on the way (golang/go#17494).
            let own = request.headers().get(COOKIE);
            let cookies = own.map(|own| cookies::join(own, &kept, hop.redirects > 0));
            request.headers_mut().insert(COOKIE, cookies.unwrap_or(kept));
        }
        let mut response = self.transport.round_trip(request).await?;
        if let Some(jar) = &self.cookies {
            jar.learn(&hop.uri, response.headers());
        }
        response.extensions_mut().insert(hop);
        Ok(response)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("cookies", &self.cookies)
            .field("max_redirects", &self.max_redirects)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

fn request(method: Method, url: &str, body: Body) -> Result<Request<Body>, Error> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri(url)?;
    Ok(request)
}
