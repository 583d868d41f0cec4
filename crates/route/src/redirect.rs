//! Answers with another address.

use rosn_config::checked;

use crate::host;

/// `redirect`.
#[derive(Debug)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    path: Option<Box<str>>,
    host: Option<Box<str>>,
    scheme: Option<Box<str>>,
}

impl Redirect {
    pub(crate) fn compile(redirect: &checked::Redirect) -> Self {
        let text =
            |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(Into::into);
        Self {
            status: redirect.status,
            path: text(&redirect.path),
            host: text(&redirect.host),
            scheme: text(&redirect.scheme),
        }
    }

    /// Appends the value of `Location` to `out`: the address of the request with the parts changed
    /// that the route names.
    ///
    /// * The query is kept where the path is.
    /// * A changed scheme takes the port of the old one with it: `:80` is dropped on the way to
    ///   https, `:443` on the way to http. A port of `host_redirect` stays.
    /// * A request without a host is answered with a path alone (RFC 9110 section 10.2.2).
    pub fn location(
        &self,
        scheme: &str,
        authority: &[u8],
        path_and_query: &[u8],
        out: &mut Vec<u8>,
    ) {
        let target_scheme = self.scheme.as_deref().unwrap_or(scheme);
        let host = match &self.host {
            Some(host) => host.as_bytes(),
            None if self.scheme.is_some() => without_port_of_other(authority, target_scheme),
            None => authority,
        };
        let path = self.path.as_deref().map_or(path_and_query, str::as_bytes);
        if !host.is_empty() {
            out.extend_from_slice(target_scheme.as_bytes());
            out.extend_from_slice(b"://");
            out.extend_from_slice(host);
        } else if path.starts_with(b"//") {
            // Alone, this would name another host (RFC 3986 section 4.2).
            out.extend_from_slice(b"/.");
        }
        if path.first() != Some(&b'/') {
            out.push(b'/');
        }
        out.extend_from_slice(path);
    }
}

/// The authority without the port that only the other scheme has.
fn without_port_of_other<'a>(authority: &'a [u8], scheme: &str) -> &'a [u8] {
    let other = match scheme {
        "https" => &b":80"[..],
        "http" => b":443",
        _ => return authority,
    };
    match authority.strip_suffix(other) {
        Some(host) if host::split(authority).1 == Some(&other[1..]) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(
        [scheme, host, path]: [&str; 3],
        [old_scheme, authority, path_and_query]: [&str; 3],
    ) -> String {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let redirect = Redirect::compile(&checked::Redirect {
            status: 301,
            path: given(path),
            host: given(host),
            scheme: given(scheme),
        });
        let mut out = Vec::new();
        redirect.location(old_scheme, authority.as_bytes(), path_and_query.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parts_that_are_named_are_changed() {
        for (parts, expected) in [
            (["", "", "/new"], "http://a.com:80/new"),
            (["", "b.com", ""], "http://b.com/old?q=1"),
            (["", "b.com", "/new?x"], "http://b.com/new?x"),
            (["https", "", ""], "https://a.com/old?q=1"),
            (["https", "", "/new"], "https://a.com/new"),
            (["https", "b.com:80", ""], "https://b.com:80/old?q=1"),
            (["http", "", ""], "http://a.com:80/old?q=1"),
            (["", "", "new"], "http://a.com:80/new"),
        ] {
            assert_eq!(location(parts, ["http", "a.com:80", "/old?q=1"]), expected, "{parts:?}");
        }
    }

    #[test]
    fn a_port_goes_with_its_scheme() {
        for (scheme, authority, expected) in [
            ("https", "a.com:80", "https://a.com/"),
            ("https", "a.com:8080", "https://a.com:8080/"),
            ("https", "a.com:443", "https://a.com:443/"),
            ("https", "[::1]:80", "https://[::1]/"),
            ("https", "[::1]", "https://[::1]/"),
            ("https", "a.com", "https://a.com/"),
            ("http", "a.com:443", "http://a.com/"),
            ("http", "a.com:80", "http://a.com:80/"),
            ("ws", "a.com:80", "ws://a.com:80/"),
        ] {
            assert_eq!(location([scheme, "", ""], ["http", authority, "/"]), expected);
        }
        // An IPv6 address without brackets ends in a group, not a port.
        assert_eq!(location(["https", "", ""], ["http", "fe80::1:80", "/"]), "https://fe80::1:80/");
    }

    #[test]
    fn without_a_host_the_path_alone_is_named() {
        assert_eq!(location(["https", "", ""], ["http", "", "/a?b"]), "/a?b");
        assert_eq!(location(["https", "", ""], ["http", "", "//evil.com/x"]), "/.//evil.com/x");
        assert_eq!(location(["", "", ""], ["http", "", "*"]), "/*");
        assert_eq!(location(["", "b.com", ""], ["http", "", "//x"]), "http://b.com//x");
    }
}
