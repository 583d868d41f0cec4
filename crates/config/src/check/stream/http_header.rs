//! The transport `tcp`, and HTTP heads: their names and values must not break out of their line.

use crate::checked::{HttpHeader, HttpHeaderRequest, HttpHeaderResponse, TcpSettings};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field, Map, OneOrMany};
use crate::text::Span;

use super::super::missing;

/// Headers in the order they are sent, each with the values that one is drawn from.
pub(super) type Headers = Vec<(String, Vec<String>)>;

pub(super) fn tcp(raw: Option<&raw::TcpSettings>, context: &mut Context<'_>) -> TcpSettings {
    let Some(header) = raw.and_then(|raw| raw.header.value()) else {
        return TcpSettings::default();
    };
    let Some((kind, span)) = header.r#type.filled() else {
        if !matches!(header.r#type, Field::Faulty) {
            missing(header.span, "type", context);
        }
        return TcpSettings::default();
    };
    match super::choice(kind, span, &["none", "http"], "header of TCP", context) {
        Some("http") => TcpSettings {
            header: Some(HttpHeader {
                request: request(header.request.value(), context),
                response: response(header.response.value(), context),
            }),
        },
        _ => TcpSettings::default(),
    }
}

fn request(raw: Option<&raw::HttpHeaderRequest>, context: &mut Context<'_>) -> HttpHeaderRequest {
    let absent = raw::HttpHeaderRequest::default();
    let raw = raw.unwrap_or(&absent);
    let mut paths = Vec::new();
    for path in raw.path.value().map(|paths| paths.0.as_slice()).unwrap_or_default() {
        if !path.value.starts_with('/') || !is_target(&path.value) {
            let message = "a path begins with `/` and has no spaces";
            context.add(Fault::error(path.span, "bad-path", message));
        }
        paths.push(path.value.clone());
    }
    if paths.is_empty() {
        paths.push("/".to_owned());
    }
    HttpHeaderRequest {
        version: word(&raw.version, "1.1", is_token, context),
        method: word(&raw.method, "GET", is_token, context),
        paths,
        headers: headers(&raw.headers, context).unwrap_or_else(browser),
    }
}

fn response(
    raw: Option<&raw::HttpHeaderResponse>,
    context: &mut Context<'_>,
) -> HttpHeaderResponse {
    let absent = raw::HttpHeaderResponse::default();
    let raw = raw.unwrap_or(&absent);
    let digits = |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    HttpHeaderResponse {
        version: word(&raw.version, "1.1", is_token, context),
        status: word(&raw.status, "200", digits, context),
        reason: word(&raw.reason, "OK", is_value, context),
        headers: headers(&raw.headers, context).unwrap_or_else(server),
    }
}

/// A part of the first line.
fn word(
    field: &Field<String>,
    default: &str,
    fits: fn(&str) -> bool,
    context: &mut Context<'_>,
) -> String {
    let Some((text, span)) = field.filled() else { return default.to_owned() };
    if !fits(text) {
        let message = format!("this cannot stand in the first line, where {default:?} is usual");
        context.add(Fault::error(span, "bad-header-value", message));
    }
    text.to_owned()
}

/// Headers with their values, sorted by name as v2ray sends them; `None` where the key is not written.
pub(super) fn headers(field: &Field<Map<OneOrMany>>, context: &mut Context<'_>) -> Option<Headers> {
    let mut all = Headers::new();
    for (name, span, values) in &field.value()?.0 {
        check_name(name, *span, context);
        if values.0.is_empty() {
            let message = format!("the header `{name}` has no value to draw from");
            context.add(Fault::error(*span, "missing-value", message));
        }
        for value in &values.0 {
            check_value(&value.value, value.span, context);
        }
        all.push((
            name.as_ref().to_owned(),
            values.0.iter().map(|value| value.value.clone()).collect(),
        ));
    }
    all.sort();
    Some(all)
}

pub(super) fn check_name(name: &str, span: Span, context: &mut Context<'_>) {
    if !is_token(name) {
        let message = "this is no name of a header";
        context.add(Fault::error(span, "bad-header-name", message));
    }
}

pub(super) fn check_value(value: &str, span: Span, context: &mut Context<'_>) {
    if !is_value(value) {
        let message = "a header's value has no line ends or other control characters";
        context.add(Fault::error(span, "bad-header-value", message));
    }
}

/// Whether a text is a token (RFC 9110, section 5.6.2).
pub(in crate::check) fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

/// Whether a text may stand in one line.
fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

/// Whether a text may stand between the method and the version.
pub(in crate::check) fn is_target(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn fixed(headers: &[(&str, &[&str])]) -> Headers {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    headers.iter().map(|(name, values)| ((*name).to_owned(), owned(values))).collect()
}

/// What v2ray sends where nothing is said, in its order.
fn browser() -> Headers {
    fixed(&[
        ("Host", &["www.baidu.com", "www.bing.com"]),
        (
            "User-Agent",
            &[
                "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/53.0.2785.143 Safari/537.36",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 10_0_2 like Mac OS X) AppleWebKit/601.1 (KHTML, like Gecko) \
                 CriOS/53.0.2785.109 Mobile/14A456 Safari/601.1.46",
            ],
        ),
        ("Accept-Encoding", &["gzip, deflate"]),
        ("Connection", &["keep-alive"]),
        ("Pragma", &["no-cache"]),
    ])
}

/// What v2ray answers where nothing is said, in its order.
fn server() -> Headers {
    fixed(&[
        ("Content-Type", &["application/octet-stream", "video/mpeg"]),
        ("Transfer-Encoding", &["chunked"]),
        ("Connection", &["keep-alive"]),
        ("Pragma", &["no-cache"]),
        ("Cache-Control", &["private", "no-cache"]),
    ])
}
