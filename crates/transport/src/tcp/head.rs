//! The heads of the HTTP preamble, as bytes.

use std::time::SystemTime;

use rosn_config::checked::{HttpHeader, HttpHeaderRequest, HttpHeaderResponse};

/// What a listener answers to a request that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another path.
    NotFound,
    /// No request at all, or too long a one.
    BadRequest,
}

/// The request of one connection: a path and a value of each header are drawn.
pub(super) fn request(settings: &HttpHeaderRequest) -> Vec<u8> {
    let path = draw(&settings.paths);
    let mut head = format!("{} {path} HTTP/{}\r\n", settings.method, settings.version).into_bytes();
    put_headers(&mut head, &settings.headers);
    head.extend_from_slice(b"\r\n");
    head
}

/// The response of one connection.
pub(super) fn response(settings: &HttpHeaderResponse) -> Vec<u8> {
    let HttpHeaderResponse { version, status, reason, headers } = settings;
    let mut head = format!("HTTP/{version} {status} {reason}\r\n").into_bytes();
    put_headers(&mut head, headers);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("date")) {
        put_date(&mut head);
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// v2ray's answer, which looks like a web server's.
pub(super) fn refusal(refusal: Refusal) -> Vec<u8> {
    let status = match refusal {
        Refusal::NotFound => "404 Not Found",
        Refusal::BadRequest => "400 Bad Request",
    };
    let mut head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nCache-Control: private\r\nContent-Length: 0\r\n"
    )
    .into_bytes();
    put_date(&mut head);
    head.extend_from_slice(b"\r\n");
    head
}

/// Where the head ends, `searched` bytes of it having been looked at before.
pub(super) fn end(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3).min(bytes.len());
    memchr::memmem::find(&bytes[from..], b"\r\n\r\n").map(|at| from + at + 4)
}

/// Whether these can be the first bytes of a request; else there is no use in waiting for its end.
pub(super) fn may_be_request(bytes: &[u8]) -> bool {
    bytes.first().is_none_or(u8::is_ascii_alphabetic)
}

/// Checks a request, its last empty line included. As in v2ray only the path counts, without its query.
pub(super) fn check_request(head: &[u8], settings: &HttpHeaderRequest) -> Result<(), Refusal> {
    let mut lines =
        head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut words = lines.next().unwrap_or_default().split(|byte| *byte == b' ');
    let words = (words.next(), words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some(version), None) = words else {
        return Err(Refusal::BadRequest);
    };
    let is_word = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
    let headers = lines.take_while(|line| !line.is_empty());
    let is_header = |line: &[u8]| matches!(memchr::memchr(b':', line), Some(1..));
    if !is_word(method) || !version.starts_with(b"HTTP/1.") || !headers.into_iter().all(is_header) {
        return Err(Refusal::BadRequest);
    }
    let path = target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    if settings.paths.iter().any(|wanted| wanted.as_bytes() == path) {
        return Ok(());
    }
    Err(Refusal::NotFound)
}

/// Checks a response: it must not refuse, unless this is how success is dressed up here. Returns the first line.
pub(super) fn check_response(head: &[u8], settings: &HttpHeader) -> Result<(), String> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let status = words.next().unwrap_or_default();
    if !is_http {
        return Err("what came is no HTTP response: does the other side have this header?".into());
    }
    if status.starts_with(['4', '5']) && status != settings.response.status {
        return Err(format!("the listener answered `{line}`: is the path the same on both sides?"));
    }
    Ok(())
}

fn put_headers(head: &mut Vec<u8>, headers: &[(String, Vec<String>)]) {
    for (name, values) in headers {
        head.extend_from_slice(format!("{name}: {}\r\n", draw(values)).as_bytes());
    }
}

fn put_date(head: &mut Vec<u8>) {
    let now = httpdate::fmt_http_date(SystemTime::now());
    head.extend_from_slice(format!("Date: {now}\r\n").as_bytes());
}

fn draw(values: &[String]) -> &str {
    match values {
        [] => "",
        [only] => only,
        several => &several[fastrand::usize(..several.len())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(paths: &[&str]) -> HttpHeaderRequest {
        HttpHeaderRequest {
            version: "1.1".into(),
            method: "GET".into(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            headers: vec![("Host".into(), vec!["interop.test".into()])],
        }
    }

    #[test]
    fn only_the_path_of_a_request_counts() {
        for (head, result) in [
            ("GET /alpha HTTP/1.1\r\nHost: a\r\n\r\n", Ok(())),
            ("POST /alpha?q=1 HTTP/1.0\r\n\r\n", Ok(())),
            ("GET /alpha/x HTTP/1.1\r\n\r\n", Err(Refusal::NotFound)),
            ("GET / HTTP/1.1\r\n\r\n", Err(Refusal::NotFound)),
            ("GET /alpha\r\n\r\n", Err(Refusal::BadRequest)),
            ("GET /alpha HTTP/2.0\r\n\r\n", Err(Refusal::BadRequest)),
            ("GET /alpha x HTTP/1.1\r\n\r\n", Err(Refusal::BadRequest)),
            ("GET /alpha HTTP/1.1\r\nno colon\r\n\r\n", Err(Refusal::BadRequest)),
            ("\r\n\r\n", Err(Refusal::BadRequest)),
        ] {
            assert_eq!(check_request(head.as_bytes(), &settings(&["/alpha"])), result, "{head}");
        }
    }

    #[test]
    fn the_end_is_found_wherever_it_is_torn() {
        let head = b"GET / HTTP/1.1\r\n\r\nrest";
        for searched in 0..18 {
            assert_eq!(end(head, searched), Some(18), "{searched}");
        }
        assert_eq!(end(&head[..17], 0), None);
    }

    #[test]
    fn a_request_is_v2rays_byte_for_byte() {
        let mut settings = settings(&["/beta"]);
        settings.headers.push(("User-Agent".into(), vec!["probe/1".into()]));
        settings.headers.push(("X-Multi".into(), vec!["one".into()]));
        let golden = "GET /beta HTTP/1.1\r\nHost: interop.test\r\nUser-Agent: probe/1\r\nX-Multi: one\r\n\r\n";
        assert_eq!(request(&settings), golden.as_bytes());
    }
}
