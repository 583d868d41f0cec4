//! Cookies (RFC 6265).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cookie_store::{Cookie, CookieDomain, CookieStore};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, Uri};
use url::Url;

/// Bytes of a Set-Cookie field that is looked at (RFC 6265, section 6.1).
const MAX_BYTES: usize = 4096;
/// Cookies of one domain.
const MAX_OF_A_DOMAIN: usize = 50;
/// Cookies in all.
const MAX: usize = 3000;

/// The cookies that servers have set, in memory. Clones share them.
///
/// They are kept and sent by RFC 6265: domain, path, expiry, Secure and HttpOnly (all who ask here speak HTTP). There is
/// no list of public suffixes: a server may set cookies for each domain above it that has a dot in its name. A domain has
/// up to 50 cookies of 4 KiB, a jar up to 3000; more are not kept.
#[derive(Clone, Default)]
pub struct CookieJar(Arc<Mutex<CookieStore>>);

impl CookieJar {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a request to this URI has to carry in Cookie; `None` = nothing. Those with longer paths come first.
    pub fn header(&self, uri: &Uri) -> Option<HeaderValue> {
        let store = self.lock();
        store.iter_any().next()?;
        let mut cookies = store.matches(&url(uri)?);
        cookies.sort_by_key(|cookie| (std::cmp::Reverse(cookie.path.len()), cookie.name()));
        let pair = |cookie: &&Cookie<'_>| format!("{}={}", cookie.name(), cookie.value());
        let pairs: Vec<_> = cookies.iter().map(pair).collect();
        let mut value = HeaderValue::try_from(pairs.join("; ")).ok()?;
        value.set_sensitive(true);
        (!value.is_empty()).then_some(value)
    }

    /// Keeps what a response from this URI sets. What is not well-formed, or not the server's to set, is passed over.
    pub fn learn(&self, uri: &Uri, headers: &HeaderMap) {
        let mut lines = headers.get_all(SET_COOKIE).iter().peekable();
        if lines.peek().is_none() {
            return;
        }
        let Some(url) = url(uri) else { return };
        let mut store = self.lock();
        for line in lines.filter(|line| line.len() <= MAX_BYTES) {
            if let Some(cookie) = parse(line, &url)
                && has_room(&mut store, &cookie)
            {
                // It is only refused where it is not the server's to set.
                let _ = store.insert(cookie, &url);
            }
        }
    }

    /// Forgets them all.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, CookieStore> {
        // A panic in the middle of a change may lose a cookie, and nothing else.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CookieJar {
    /// Says how many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CookieJar({})", self.lock().iter_unexpired().count())
    }
}

/// The caller's own cookies and those of a jar, which, with `replace`, take the place of others of their names.
pub(super) fn join(own: &HeaderValue, kept: &HeaderValue, replace: bool) -> HeaderValue {
    fn pairs(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
        value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
    }
    fn name(pair: &[u8]) -> &[u8] {
        pair.split(|byte| *byte == b'=').next().unwrap_or_default()
    }
    let is_replaced = |pair: &[u8]| replace && pairs(kept).any(|other| name(other) == name(pair));
    let all = pairs(own).filter(|pair| !is_replaced(pair)).chain(pairs(kept));
    let joined = all.collect::<Vec<_>>().join(&b"; "[..]);
    let mut value = HeaderValue::from_bytes(&joined).expect("it is made of values of fields");
    value.set_sensitive(true);
    value
}

fn url(uri: &Uri) -> Option<Url> {
    Url::parse(&uri.to_string()).ok()
}

fn parse(line: &HeaderValue, url: &Url) -> Option<Cookie<'static>> {
    let text = std::str::from_utf8(line.as_bytes()).ok()?;
    let cookie = Cookie::parse(text.to_owned(), url).ok()?;
    match &cookie.domain {
        // A top-level domain is nobody's, but a host of that name may have cookies of its own.
        CookieDomain::Suffix(domain)
            if !domain.contains('.') && url.host_str() != Some(domain.as_str()) =>
        {
            None
        }
        _ => Some(cookie),
    }
}

/// Whether the cookie has a place: an old one's, or there are not too many.
fn has_room(store: &mut CookieStore, cookie: &Cookie<'_>) -> bool {
    let Some(domain) = cookie.domain.as_cow() else { return false };
    if store.contains_any(&domain, &cookie.path, cookie.name()) {
        return true;
    }
    let is_full = |store: &CookieStore| {
        let of_domain = |other: &&Cookie<'_>| other.domain.as_cow().as_deref() == Some(&domain);
        store.iter_any().count() >= MAX
            || store.iter_any().filter(of_domain).count() >= MAX_OF_A_DOMAIN
    };
    if !is_full(store) {
        return true;
    }
    forget_expired(store);
    !is_full(store)
}

fn forget_expired(store: &mut CookieStore) {
    let expired: Vec<_> = store
        .iter_any()
        .filter(|cookie| cookie.is_expired())
        .map(|cookie| {
            let domain = cookie.domain.as_cow().unwrap_or_default().into_owned();
            (domain, String::from(&cookie.path), cookie.name().to_owned())
        })
        .collect();
    for (domain, path, name) in expired {
        store.remove(&domain, &path, &name);
    }
}
