//! Where redirects lead, and with what: the tables of Go's `client_test.go`, and what Go left open.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use rosn_http::client::{Client, Hop};
use rosn_http::{Body, Error, Phase};
use rosn_trace::{Callbacks, RequestTraceExt as _};

use crate::script::Script;

async fn send(script: &Script, request: Request<Body>) -> Result<Response<Body>, Error> {
    Client::new(script.clone()).request(request).await
}

fn request(method: Method, uri: &str, fields: &[(&str, &str)], body: Body) -> Request<Body> {
    let request = Request::builder().method(method).uri(uri);
    let request =
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(body).unwrap()
}

const HEAD: &str = "HEAD";

/// Go's TestPostRedirects, TestClientRedirectUseResponse: the method and the body.
#[tokio::test]
async fn methods_and_bodies() {
    for (status, method, expected_method, expected_body) in [
        (301, "GET", "GET", ""),
        (301, "POST", "GET", ""),
        (301, HEAD, HEAD, ""),
        (302, "PUT", "GET", ""),
        (303, "POST", "GET", ""),
        (303, HEAD, HEAD, ""),
        (303, "DELETE", "GET", ""),
        (307, "POST", "POST", "content"),
        (307, "GET", "GET", "content"),
        (308, "PUT", "PUT", "content"),
        (308, HEAD, HEAD, "content"),
    ] {
        let script = Script::default()
            .answer("http://a.test/1", &[&format!("{status}; Location: /2")])
            .answer("http://a.test/2", &["200"]);
        let fields = [("content-type", "text/plain"), ("x-kept", "1")];
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = request(method.clone(), "http://a.test/1", &fields, Body::from("content"));
        let response = send(&script, request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let hop = response.extensions().get::<Hop>().unwrap();
        assert_eq!((hop.redirects, hop.uri.to_string()), (1, "http://a.test/2".to_owned()));
        let asked = &script.asked()[1];
        assert_eq!(asked.line, format!("{expected_method} http://a.test/2"), "{status} {method}");
        assert_eq!(asked.body, expected_body, "{status} {method}");
        assert_eq!(asked.header("content-type").is_empty(), expected_body.is_empty());
        assert_eq!(asked.header("x-kept"), "1");
    }
}

/// What is not followed is the caller's: other statuses, no Location, a body that is gone.
#[tokio::test]
async fn responses_of_the_caller() {
    let uri = "http://a.test/1";
    for answer in
        ["300; Location: /2", "304; Location: /2", "305; Location: /2", "302", "302; Location: "]
    {
        let script = Script::default().answer(uri, &[answer]);
        let response = send(&script, request(Method::GET, uri, &[], Body::empty())).await.unwrap();
        assert_eq!(response.status().as_str(), &answer[..3]);
        assert_eq!(script.lines().len(), 1, "{answer}");
    }
    let script = Script::default().answer(uri, &["307; Location: /2"]);
    let once = Body::from_reader(&b"once"[..]);
    let response = send(&script, request(Method::POST, uri, &[], once)).await.unwrap();
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(response.into_body().bytes(100).await.unwrap(), "body");
}

/// Go's TestRedirectLocations: where to.
#[tokio::test]
async fn locations() {
    let from = "http://a.test/b/c?d";
    for (location, to) in [
        ("http://other.test", "http://other.test/"),
        ("//other.test/x", "http://other.test/x"),
        ("/x?y", "http://a.test/x?y"),
        ("x", "http://a.test/b/x"),
        ("../../x", "http://a.test/x"),
        ("?z", "http://a.test/b/c?z"),
        ("x#fragment", "http://a.test/b/x"),
        ("HTTPS://Other.test:443/x y", "https://other.test/x%20y"),
        ("http://xn--e1afmkfd.xn--p1ai/", "http://xn--e1afmkfd.xn--p1ai/"),
    ] {
        let script = Script::default()
            .answer(from, &[&format!("302; Location: {location}")])
            .answer(to, &["200"]);
        send(&script, request(Method::GET, from, &[], Body::empty())).await.unwrap();
        assert_eq!(script.lines()[1], format!("GET {to}"), "{location}");
    }
    for location in ["ftp://a.test/", "http://", "http://[::1", "http://a.test:99999/", "data:,x"] {
        let script = Script::default().answer(from, &[&format!("302; Location: {location}")]);
        let result = send(&script, request(Method::GET, from, &[], Body::empty())).await;
        let error = result.unwrap_err();
        assert_eq!(error.phase(), Phase::Redirect, "{location}: {error}");
        assert!(error.to_string().starts_with("cannot follow the redirect from a.test:80"));
    }
}

/// Location in bytes that are no ASCII: as UTF-8 where it is that, else byte for byte.
#[tokio::test]
async fn locations_that_are_no_ascii() {
    use rosn_http::{BoxFuture, RoundTrip};
    struct Bytes(&'static [u8], Script);
    impl RoundTrip for Bytes {
        fn round_trip(
            &self,
            request: Request<Body>,
        ) -> BoxFuture<'_, Result<Response<Body>, Error>> {
            if request.uri().path() == "/1" {
                let response = Response::builder().status(302).header("location", self.0);
                return Box::pin(async { Ok(response.body(Body::empty()).unwrap()) });
            }
            self.1.round_trip(request)
        }
    }
    for (location, to) in [
        ("/\u{e9}".as_bytes(), "http://a.test/%C3%A9"),
        (b"/\xe9", "http://a.test/%E9"),
        ("http://пример.рф/".as_bytes(), "http://xn--e1afmkfd.xn--p1ai/"),
    ] {
        let script = Script::default().answer(to, &["200"]);
        let client = Client::new(Bytes(location, script.clone()));
        client.get("http://a.test/1").await.unwrap();
        assert_eq!(script.lines(), [format!("GET {to}")]);
    }
}

/// Go's TestRedirectLoop: ten are followed.
#[tokio::test]
async fn redirects_without_end() {
    let uri = "http://a.test/";
    let script = Script::default().answer(uri, &["302; Location: /"]);
    let error = Client::new(script.clone()).get(uri).await.unwrap_err();
    assert_eq!(error.phase(), Phase::Redirect);
    assert_eq!(
        error.to_string(),
        "cannot follow the redirect from a.test:80: stopped after 10 redirects"
    );
    assert_eq!(script.lines().len(), 11);

    let client = Client::new(script).with_max_redirects(0);
    assert_eq!(client.get(uri).await.unwrap().status(), StatusCode::FOUND);
}

/// Go's TestShouldCopyHeaderOnRedirect, TestClientCopyHeadersOnRedirect and TestClientStripHeadersOnRepeatedRedirect:
/// who gets what was meant for the first server. Go would send it to another port and from https to http, too.
#[tokio::test]
async fn secrets_stay_with_their_server() {
    for (chain, expected) in [
        (&["http://foo.com/", "http://foo.com/x"][..], "yes yes"),
        (&["http://foo.com/", "http://sub.foo.com/"], "yes yes"),
        (&["http://foo.com/", "http://notfoo.com/"], "yes no"),
        (&["http://foo.com/", "http://bar.com/"], "yes no"),
        (&["http://foo.com/", "https://foo.com/"], "yes yes"),
        (&["https://foo.com/", "http://foo.com/"], "yes no"),
        (&["http://foo.com/", "http://foo.com:1234/"], "yes no"),
        (&["http://foo.com:1234/", "http://sub.foo.com:1234/"], "yes yes"),
        (&["http://sub.foo.com/", "http://foo.com/"], "yes no"),
        (&["http://foo.com/", "http://sub.foo.com/", "http://foo.com/x"], "yes yes yes"),
        (&["http://foo.com/", "http://bar.com/", "http://foo.com/x"], "yes no no"),
        (&["http://foo.com/", "http://bar.com/", "http://sub.foo.com/x"], "yes no no"),
        (&["http://1.2.3.4/", "http://x.1.2.3.4.test/"], "yes no"),
        (&["http://[::1]/", "http://[::1]/x"], "yes yes"),
    ] {
        let mut script = Script::default();
        for hop in chain.windows(2) {
            script = script.answer(hop[0], &[&format!("302; Location: {}", hop[1])]);
        }
        script = script.answer(chain.last().unwrap(), &["200"]);
        let names =
            ["authorization", "cookie", "cookie2", "www-authenticate", "proxy-authorization"];
        let fields: Vec<_> =
            names.iter().map(|name| (*name, "secret")).chain([("x-kept", "1")]).collect();
        send(&script, request(Method::GET, chain[0], &fields, Body::empty())).await.unwrap();
        let asked = script.asked();
        assert!(asked.iter().all(|asked| asked.header("x-kept") == "1"));
        for name in names {
            let got: Vec<_> = asked
                .iter()
                .map(|asked| if asked.header(name).is_empty() { "no" } else { "yes" })
                .collect();
            assert_eq!(got.join(" "), expected, "{chain:?} {name}");
        }
    }
}

/// Go's TestBasicAuth, TestReferer and TestClientRedirectEatsBody: a user in a URI goes into Authorization, and nowhere
/// else.
#[tokio::test]
async fn users_in_uris() {
    let script = Script::default()
        .answer("http://a.test/1", &["302; Location: /2"])
        .answer("http://a.test/2", &["302; Location: http://us%20er:p%40ss@b.test/3"])
        .answer("http://b.test/3", &["302; Location: http://a.test/4"])
        .answer("http://a.test/4", &["200"]);
    let response =
        Client::new(script.clone()).get("http://Aladdin:open%20sesame@a.test/1").await.unwrap();
    assert_eq!(response.extensions().get::<Hop>().unwrap().uri, "http://a.test/4");
    let got: Vec<_> = script.asked().iter().map(|asked| asked.header("authorization")).collect();
    let aladdin = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    assert_eq!(got, [aladdin, aladdin, "Basic dXMgZXI6cEBzcw==", ""]);
    let referers: Vec<_> = script.asked().iter().map(|asked| asked.header("referer")).collect();
    assert_eq!(referers, ["", "http://a.test/1", "http://a.test/2", "http://b.test/3"]);

    // Who sets Authorization themselves, means that.
    let script = Script::default().answer("http://a.test/", &["200"]);
    let fields = [("authorization", "own")];
    let own = request(Method::GET, "http://user:pass@a.test/", &fields, Body::empty());
    send(&script, own).await.unwrap();
    assert_eq!(script.asked()[0].header("authorization"), "own");
}

/// Go's TestReferer: not from https to http; one of the caller's own stays.
#[tokio::test]
async fn referers() {
    let script = Script::default()
        .answer("https://a.test/1", &["302; Location: https://b.test/2"])
        .answer("https://b.test/2", &["302; Location: http://c.test/3"])
        .answer("http://c.test/3", &["302; Location: /4"])
        .answer("http://c.test/4", &["200"]);
    for (fields, expected) in [
        (&[][..], ["", "https://a.test/1", "", "http://c.test/3"]),
        (&[("referer", "own")], ["own", "own", "", ""]),
    ] {
        let before = script.lines().len();
        let request = request(Method::GET, "https://a.test/1", fields, Body::empty());
        send(&script, request).await.unwrap();
        let got: Vec<_> =
            script.asked()[before..].iter().map(|asked| asked.header("referer")).collect();
        assert_eq!(got, expected);
    }
}

/// Go's TestClientRedirect308NoLocation's neighbour, golang/go#22233: an own Host stays on the same server only.
#[tokio::test]
async fn an_own_host() {
    let script = Script::default()
        .answer("http://a.test/1", &["302; Location: /2"])
        .answer("http://a.test/2", &["302; Location: //b.test/3"])
        .answer("http://b.test/3", &["302; Location: http://a.test/4"])
        .answer("http://a.test/4", &["200"]);
    let fields = [("host", "virtual.test")];
    send(&script, request(Method::GET, "http://a.test/1", &fields, Body::empty())).await.unwrap();
    let got: Vec<_> = script.asked().iter().map(|asked| asked.header("host")).collect();
    assert_eq!(got, ["virtual.test", "virtual.test", "", ""]);
}

/// T16: a redirect that is followed is an event of its own, and the requests say which they are.
#[tokio::test]
async fn redirects_are_traced() {
    let script = Script::default()
        .answer("http://a.test/1", &["302; Location: /2"])
        .answer("http://a.test/2", &["307; Location: /3"])
        .answer("http://a.test/3", &["302"]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_by_trace = Arc::clone(&seen);
    let mut request = request(Method::GET, "http://a.test/1", &[], Body::empty());
    request.with_trace(Callbacks::new().on_redirect(move |status, uri, redirects| {
        seen_by_trace.lock().unwrap().push(format!("{redirects} {status} {uri}"));
    }));
    let response = send(&script, request).await.unwrap();
    assert_eq!(response.extensions().get::<Hop>().unwrap().redirects, 2);
    assert_eq!(
        *seen.lock().unwrap(),
        ["1 302 Found http://a.test/2", "2 307 Temporary Redirect http://a.test/3"]
    );
}
