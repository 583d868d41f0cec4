//! From what people write to a URI.

use http::Uri;
use url::Url;

use crate::error::Kind;
use crate::{Error, Phase};

/// The URI that a text means, as a browser reads it (the URL standard of WHATWG): names are turned into punycode, what
/// may not stand in a path is encoded, the fragment is left out.
///
/// # Errors
/// It is none, or its scheme is neither `http` nor `https`.
pub fn uri(text: &str) -> Result<Uri, Error> {
    let url = Url::parse(text).map_err(|error| wrong(text, &error.to_string()))?;
    from_url(&url)
}

/// The URI of a parsed one.
///
/// # Errors
/// It is none, or its scheme is neither `http` nor `https`.
pub(crate) fn from_url(url: &Url) -> Result<Uri, Error> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(url.as_str(), "its scheme is neither http nor https"));
    }
    Uri::try_from(url.as_str()).map_err(|error| wrong(url.as_str(), &error.to_string()))
}

/// Shows no more of the text than scheme and host: there may be a password in it.
fn wrong(text: &str, what: &str) -> Error {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let url = if scheme.is_empty() { String::new() } else { format!("{scheme}://{host}") };
    Error::of(Phase::Request, Kind::Failed).what(format!("`{url}`: {what}"))
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn reads_what_people_write() {
        for (text, expected) in [
            (
                "http://Пример.рф/путь?q#f",
                "http://xn--e1afmkfd.xn--p1ai/%D0%BF%D1%83%D1%82%D1%8C?q",
            ),
            ("https://EXAMPLE.com:443", "https://example.com/"),
            ("http://[::0001]:81/a/../b", "http://[::1]:81/b"),
        ] {
            assert_eq!(uri(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn errors_show_no_password() {
        for text in ["ftp://user:secret@host/", "http://user:secret@a b/", "user:secret@", ""] {
            let error = uri(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
