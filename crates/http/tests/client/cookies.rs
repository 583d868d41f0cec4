//! Cookies: RFC 6265, and the limits of a jar.

use http::{HeaderMap, HeaderValue, Request, Uri};
use rosn_http::Body;
use rosn_http::client::{Client, CookieJar};

use crate::script::Script;

fn learn(jar: &CookieJar, uri: &str, lines: &[&str]) {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append("set-cookie", HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    jar.learn(&uri.parse().unwrap(), &headers);
}

/// What a request carries.
fn sent(jar: &CookieJar, uri: &str) -> String {
    let header = jar.header(&uri.parse::<Uri>().unwrap());
    header.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[test]
fn who_gets_a_cookie() {
    for (from, line, to, gets) in [
        ("http://a.test/", "k=v", "http://a.test/x", true),
        ("http://a.test/", "k=v", "http://sub.a.test/", false),
        ("http://a.test/", "k=v", "http://b.test/", false),
        ("http://a.test/", "k=v", "http://a.test:81/", true),
        ("http://sub.a.test/", "k=v; Domain=a.test", "http://a.test/", true),
        ("http://sub.a.test/", "k=v; Domain=.a.test", "http://other.a.test/", true),
        ("http://sub.a.test/", "k=v; Domain=A.TEST", "http://sub.a.test/", true),
        ("http://sub.a.test/", "k=v; Domain=sub.a.test", "http://a.test/", false),
        ("http://a.test/", "k=v; Domain=a.test", "http://xa.test/", false),
        // Not theirs to set.
        ("http://a.test/", "k=v; Domain=b.test", "http://b.test/", false),
        ("http://a.test/", "k=v; Domain=sub.a.test", "http://sub.a.test/", false),
        ("http://a.test/", "k=v; Domain=test", "http://b.test/", false),
        ("http://test/", "k=v; Domain=test", "http://test/", true),
        ("http://1.2.3.4/", "k=v; Domain=3.4", "http://1.2.3.4/", false),
        ("http://1.2.3.4/", "k=v", "http://1.2.3.4/", true),
        ("http://[::1]:80/", "k=v", "http://[::1]/", true),
        // Paths.
        ("http://a.test/b/c", "k=v", "http://a.test/b/d", true),
        ("http://a.test/b/c", "k=v", "http://a.test/", false),
        ("http://a.test/b/c", "k=v; Path=/", "http://a.test/", true),
        ("http://a.test/", "k=v; Path=/b", "http://a.test/b/c", true),
        ("http://a.test/", "k=v; Path=/b", "http://a.test/bc", false),
        // Secure, HttpOnly.
        ("https://a.test/", "k=v; Secure", "https://a.test/", true),
        ("https://a.test/", "k=v; Secure", "http://a.test/", false),
        ("http://a.test/", "k=v; HttpOnly", "http://a.test/", true),
        // Expiry: Max-Age wins.
        ("http://a.test/", "k=v; Max-Age=3600", "http://a.test/", true),
        ("http://a.test/", "k=v; Max-Age=0", "http://a.test/", false),
        ("http://a.test/", "k=v; Max-Age=-1", "http://a.test/", false),
        ("http://a.test/", "k=v; Max-Age=99999999999999999999", "http://a.test/", true),
        ("http://a.test/", "k=v; Expires=Wed, 21 Oct 2015 07:28:00 GMT", "http://a.test/", false),
        ("http://a.test/", "k=v; Expires=Wed, 21-Oct-2015 07:28:00 GMT", "http://a.test/", false),
        ("http://a.test/", "k=v; Expires=Fri, 21 Oct 2095 07:28:00 GMT", "http://a.test/", true),
        (
            "http://a.test/",
            "k=v; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Max-Age=9",
            "http://a.test/",
            true,
        ),
        ("http://a.test/", "k=v; Expires=whenever", "http://a.test/", true),
    ] {
        let jar = CookieJar::new();
        learn(&jar, from, &[line]);
        assert_eq!(sent(&jar, to), if gets { "k=v" } else { "" }, "{line} from {from} to {to}");
    }
}

#[test]
fn cookies_change_and_go() {
    let jar = CookieJar::new();
    let uri = "http://a.test/b/c";
    learn(&jar, uri, &["z=1; Path=/", "a=2; Path=/", "long=3; Path=/b/c", "mid=4; Path=/b"]);
    assert_eq!(sent(&jar, uri), "long=3; mid=4; a=2; z=1");
    learn(&jar, uri, &["a=5; Path=/", "z=; Path=/; Max-Age=0", "mid=\"6\"; Path=/b"]);
    assert_eq!(sent(&jar, uri), "long=3; mid=\"6\"; a=5");
    let other = jar.clone();
    assert_eq!(sent(&other, "http://a.test/"), "a=5");
    jar.clear();
    assert_eq!(sent(&other, "http://a.test/"), "");
    assert_eq!(sent(&jar, uri), "");
}

/// Whatever servers send, nothing panics, and what is sent stays one field.
#[test]
fn lines_that_are_no_cookies() {
    let jar = CookieJar::new();
    for line in [
        "",
        "=",
        "=v",
        "k",
        ";",
        "k=v\u{1}",
        "k=\u{e9}",
        "k=v; Domain=\u{e9}..",
        "k=v; Path",
        "a b=c d",
    ] {
        let Ok(value) = HeaderValue::from_bytes(line.as_bytes()) else { continue };
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", value);
        jar.learn(&Uri::from_static("http://a.test/"), &headers);
        let _ = sent_bytes(&jar);
    }
    let value = HeaderValue::from_bytes(b"k=\xff").unwrap();
    jar.learn(
        &Uri::from_static("http://a.test/"),
        &[("set-cookie".parse().unwrap(), value)].into_iter().collect(),
    );
}

fn sent_bytes(jar: &CookieJar) -> Vec<u8> {
    let header = jar.header(&Uri::from_static("http://a.test/"));
    header.map(|value| value.as_bytes().to_vec()).unwrap_or_default()
}

/// RFC 6265, section 6.1: 4 KiB each, 50 of a domain, 3000 in all.
#[test]
fn a_jar_is_bounded() {
    let jar = CookieJar::new();
    learn(&jar, "http://a.test/", &[&format!("large={}", "v".repeat(4096))]);
    assert_eq!(sent(&jar, "http://a.test/"), "");
    for i in 0..200 {
        learn(&jar, "http://a.test/", &[&format!("k{i}=v")]);
    }
    assert_eq!(sent(&jar, "http://a.test/").split("; ").count(), 50);
    // What is there can still be changed.
    learn(&jar, "http://a.test/", &["k0=new"]);
    assert!(sent(&jar, "http://a.test/").starts_with("k0=new; "));
    // One server's cookies leave room for others', until there are too many in all.
    for i in 0..70 {
        let uri = format!("http://{i}.test/");
        let lines: Vec<_> = (0..50).map(|k| format!("k{k}=v")).collect();
        learn(&jar, &uri, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert_eq!(format!("{jar:?}"), "CookieJar(3000)");
    // Those that are over make room.
    let lines: Vec<_> = (0..50).map(|k| format!("k{k}=; Max-Age=0")).collect();
    learn(&jar, "http://0.test/", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    learn(&jar, "http://late.test/", &["k=v"]);
    assert_eq!(sent(&jar, "http://late.test/"), "k=v");
}

/// The client keeps what servers set, also on the way through redirects, beside the caller's own.
#[tokio::test]
async fn cookies_on_the_way() {
    let script = Script::default()
        .answer("http://a.test/", &["302; Location: http://b.test/; Set-Cookie: a=1"])
        .answer(
            "http://b.test/",
            &["302; Location: http://a.test/2; Set-Cookie: b=2; Set-Cookie: c=3"],
        )
        .answer("http://a.test/2", &["200"]);
    let jar = CookieJar::new();
    let client = Client::new(script.clone()).with_cookies(jar.clone());
    let request = Request::get("http://a.test/").header("cookie", "own=0");
    client.request(request.body(Body::empty()).unwrap()).await.unwrap();
    client.get("http://b.test/").await.unwrap();
    let got: Vec<_> = script.asked().iter().map(|asked| asked.header("cookie")).collect();
    assert_eq!(got, ["own=0", "", "a=1", "b=2; c=3", "a=1"]);
    assert!(!format!("{client:?}").contains("a=1"));
    // Without a jar there are none.
    let client = Client::new(script.clone());
    client.get("http://b.test/").await.unwrap();
    assert_eq!(script.asked().last().unwrap().header("cookie"), "");
}

/// Go's TestRedirectCookiesJar: a cookie of the caller's that is changed on the way is sent as it is then.
#[tokio::test]
async fn cookies_that_change_on_the_way() {
    let script = Script::default()
        .answer("http://a.test/", &["302; Location: /2; Set-Cookie: k=new"])
        .answer("http://a.test/2", &["302; Location: /3; Set-Cookie: other=1"])
        .answer("http://a.test/3", &["200"]);
    let client = Client::new(script.clone()).with_cookies(CookieJar::new());
    let request = Request::get("http://a.test/").header("cookie", "k=old;kept=yes");
    client.request(request.body(Body::empty()).unwrap()).await.unwrap();
    let got: Vec<_> = script.asked().iter().map(|asked| asked.header("cookie")).collect();
    assert_eq!(got, ["k=old;kept=yes", "kept=yes; k=new", "kept=yes; k=new; other=1"]);
}
