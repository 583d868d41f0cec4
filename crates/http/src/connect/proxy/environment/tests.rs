//! The tables of `golang.org/x/net/http/httpproxy`.

use http::Uri;

use super::Environment;
use crate::connect::{Target, uri};

fn environment(variables: &[(&str, &str)]) -> Environment {
    let value_of = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Environment::read(value_of)
}

/// The proxy, `-` for none, `!` for an error.
fn chosen(variables: &[(&str, &str)], url: &str) -> String {
    let target = Target::direct(&uri(url).unwrap()).unwrap();
    match environment(variables).choose(&target) {
        Ok(Some(proxy)) => proxy.to_string(),
        Ok(None) => "-".to_owned(),
        Err(_) => "!".to_owned(),
    }
}

#[test]
fn chooses_as_go_does() {
    let http = "http://example.com";
    let https = "https://secure.tld/";
    for (variables, url, expected) in [
        (&[][..], http, "-"),
        (&[("HTTP_PROXY", "127.0.0.1:8080")], http, "http://127.0.0.1:8080"),
        (&[("HTTP_PROXY", "cache.corp.example.com")], http, "http://cache.corp.example.com:80"),
        (&[("HTTP_PROXY", "localhost")], http, "http://localhost:80"),
        (&[("HTTP_PROXY", "https://127.0.0.1:8080")], http, "https://127.0.0.1:8080"),
        (&[("HTTP_PROXY", "socks5://127.0.0.1")], http, "socks5://127.0.0.1:1080"),
        (&[("HTTP_PROXY", "foo://host")], http, "!"),
        (&[("HTTP_PROXY", "h"), ("HTTPS_PROXY", "s")], http, "http://h:80"),
        (&[("HTTP_PROXY", "h"), ("HTTPS_PROXY", "s")], https, "http://s:80"),
        (&[("HTTP_PROXY", "h"), ("HTTPS_PROXY", "https://s")], https, "https://s:443"),
        (&[("HTTP_PROXY", "h")], https, "-"),
        (&[("http_proxy", "l"), ("HTTP_PROXY", "u")], http, "http://u:80"),
        (&[("http_proxy", "l"), ("HTTP_PROXY", "")], http, "http://l:80"),
        (&[("https_proxy", "l")], https, "http://l:80"),
        (&[("ALL_PROXY", "a")], http, "http://a:80"),
        (&[("all_proxy", "socks5h://a")], https, "socks5h://a:1080"),
        (&[("ALL_PROXY", "a"), ("HTTP_PROXY", "h")], http, "http://h:80"),
        (&[("HTTP_PROXY", "10.1.2.3:8080"), ("REQUEST_METHOD", "GET")], http, "!"),
        (&[("http_proxy", "10.1.2.3:8080"), ("REQUEST_METHOD", "GET")], http, "!"),
        (&[("HTTPS_PROXY", "s"), ("REQUEST_METHOD", "GET")], https, "http://s:80"),
        (&[("HTTP_PROXY", "p"), ("NO_PROXY", "example.com")], http, "-"),
        (&[("HTTP_PROXY", "p"), ("no_proxy", "EXAMPLE.com")], "http://Example.COM", "-"),
        (&[("HTTP_PROXY", "p"), ("NO_PROXY", ".example.com")], http, "http://p:80"),
        (&[("HTTP_PROXY", "p"), ("NO_PROXY", "ample.com")], http, "http://p:80"),
        (&[("HTTP_PROXY", "p"), ("NO_PROXY", "example.com")], "http://foo.example.com/", "-"),
        (&[("HTTP_PROXY", "p"), ("NO_PROXY", ".foo.com")], http, "http://p:80"),
        (&[("HTTP_PROXY", "p"), ("NO_PROXY", ".示例.com")], "http://www.示例.com", "-"),
        (&[("HTTP_PROXY", "p"), ("NO_PROXY", "xn--fsq092h.com")], "http://www.示例.com", "-"),
        (&[("HTTP_PROXY", "p"), ("NO_PROXY", "示例.com")], "http://www.xn--fsq092h.com", "-"),
        (&[("HTTP_PROXY", "p"), ("NO_PROXY", "example.com:81")], http, "http://p:80"),
        (&[("HTTP_PROXY", "p"), ("NO_PROXY", "example.com:81")], "http://example.com:81", "-"),
        (&[("HTTP_PROXY", "p"), ("NO_PROXY", ":1, ,.,*.,a:b,1.2.3.4/99")], http, "http://p:80"),
        (&[("HTTP_PROXY", "p"), ("NO_PROXY", "x, *")], http, "-"),
    ] {
        assert_eq!(chosen(variables, url), expected, "{variables:?} {url}");
    }
}

#[test]
fn knows_who_needs_no_proxy_as_go_does() {
    let list = "foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, \
                10.0.0.0/30, 2001:db8::52:0:1, [2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, \
                2002:db8:a::45/64, ::ffff:10.9.0.1";
    for (host, is_proxied) in [
        ("localhost", false),
        ("LOCALHOST", false),
        ("127.0.0.1", false),
        ("127.0.0.2", false),
        ("[::1]", false),
        ("[::ffff:127.0.0.1]", false),
        ("[::2]", true),
        ("192.168.1.1", false),
        ("192.168.1.2", true),
        ("192.168.1.3", false),
        ("192.168.1.4", true),
        ("10.0.0.2", false),
        ("10.0.0.4", true),
        ("10.9.0.1", false),
        ("[2001:db8::52:0:1]", false),
        ("[2001:db8::52:0:2]", true),
        ("[2001:db8::52:0:3]", false),
        ("[2002:db8:a::123]", false),
        ("[fe80::424b:c8be:1643:a1b6]", true),
        ("barbaz.net", true),
        ("www.barbaz.net", false),
        ("foobar.com", false),
        ("www.foobar.com", false),
        ("foofoobar.com", true),
        ("baz.com", true),
        ("localhost.net", true),
        ("local.localhost", true),
        ("barbarbaz.net", true),
        ("wildcard.io", true),
        ("nested.wildcard.io", false),
        ("awildcard.io", true),
    ] {
        let url = format!("http://{host}:80");
        let variables = [("HTTP_PROXY", "p"), ("NO_PROXY", list)];
        assert_eq!(chosen(&variables, &url) != "-", is_proxied, "{host}");
        let all = [("HTTP_PROXY", "p"), ("NO_PROXY", "*")];
        assert_eq!(chosen(&all, &url), "-", "{host}");
    }
}

#[test]
fn passwords_in_variables_are_not_shown() {
    let environment = environment(&[
        ("HTTP_PROXY", "http://user:secret@proxy"),
        ("HTTPS_PROXY", "nothing://user:secret@proxy"),
    ]);
    let target = Target::direct(&Uri::from_static("https://a.test")).unwrap();
    let error = environment.choose(&target).unwrap_err();
    let shown = format!("{environment} {environment:?} {error} {error:?}");
    assert!(shown.contains("HTTPS_PROXY") && !shown.contains("secret"), "{shown}");
}
