//! Who may ask.

use std::hint::black_box;

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};
use rosn_config::checked::Secret;

use crate::request::{Reply, text};

/// Checks the token, and that no web page is behind a change.
pub(crate) struct Guard {
    token: Option<Secret>,
}

impl Guard {
    pub(crate) fn new(token: Option<Secret>) -> Self {
        Self { token }
    }

    /// The reply to send instead, where the request may not be answered.
    pub(crate) fn refuse(&self, method: &Method, headers: &HeaderMap) -> Option<Reply> {
        if !self.token_fits(headers) {
            let mut reply = text(
                StatusCode::UNAUTHORIZED,
                "this admin server asks for a token: send \"Authorization: Bearer TOKEN\", \
                 with \"admin.token\" of the configuration\n",
            );
            reply
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rosn admin\""));
            return Some(reply);
        }
        // A browser on this machine reaches the loopback address for any page it shows; it always
        // names that page's origin when it posts.
        (method == Method::POST && from_elsewhere(headers)).then(|| {
            text(StatusCode::FORBIDDEN, "changes asked for by a web page of another origin\n")
        })
    }

    fn token_fits(&self, headers: &HeaderMap) -> bool {
        let Some(Secret(token)) = &self.token else { return true };
        let given = headers.get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        let Some((scheme, given)) = given.split_at_checked("Bearer ".len()) else { return false };
        scheme.eq_ignore_ascii_case(b"Bearer ")
            && !token.is_empty()
            && same(given.trim_ascii(), token.as_bytes())
    }
}

fn from_elsewhere(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let host = headers.get(HOST).map_or(&b""[..], HeaderValue::as_bytes);
    let origin = origin.as_bytes();
    let origin = origin.strip_prefix(b"http://").or(origin.strip_prefix(b"https://"));
    origin != Some(host)
}

/// Compares in a time that depends on the length of what was given only.
fn same(given: &[u8], secret: &[u8]) -> bool {
    let mut difference = given.len() ^ secret.len();
    for (at, byte) in given.iter().enumerate() {
        difference |= black_box(usize::from(byte ^ secret[at % secret.len()]));
    }
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(hyper::header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_the_whole_token_fits() {
        let guard = Guard::new(Some(Secret("s3cret".into())));
        for (value, fits) in [
            ("Bearer s3cret", true),
            ("bearer s3cret", true),
            ("Bearer   s3cret ", true),
            ("Bearer s3cre", false),
            ("Bearer s3crets3cret", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Basic s3cret", false),
            ("", false),
        ] {
            assert_eq!(guard.token_fits(&headers(&[(AUTHORIZATION, value)])), fits, "{value:?}");
        }
        assert!(!guard.token_fits(&HeaderMap::new()));
        assert!(Guard::new(None).token_fits(&HeaderMap::new()));
        let empty = Guard::new(Some(Secret(String::new())));
        assert!(!empty.token_fits(&headers(&[(AUTHORIZATION, "Bearer ")])));
    }

    #[test]
    fn posts_from_other_pages_are_refused() {
        let guard = Guard::new(None);
        let page = |origin| headers(&[(HOST, "127.0.0.1:34901"), (ORIGIN, origin)]);
        for (origin, refused) in [
            ("http://127.0.0.1:34901", false),
            ("https://127.0.0.1:34901", false),
            ("http://example.com", true),
            ("null", true),
        ] {
            let page = page(origin);
            assert_eq!(guard.refuse(&Method::POST, &page).is_some(), refused, "{origin}");
            assert!(guard.refuse(&Method::GET, &page).is_none());
        }
        assert!(guard.refuse(&Method::POST, &headers(&[(HOST, "x")])).is_none());
    }
}
