//! Field values that several parts understand or write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use rosn_h1::list;

/// The members of the lists in all fields of this name.
pub(crate) fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).into_iter().flat_map(|value| list(value.as_bytes()))
}

/// Whether the lists in the fields of this name have this member, in any case.
pub(crate) fn has_member(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    members(headers, name).any(|member| member.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// What Content-Length says.
///
/// # Errors
/// It is not one number, or one that not every parser can hold.
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, NotOneNumber> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse::<i64>().ok());
    match (length, values.next()) {
        (Some(length), None) => Ok(Some(length.unsigned_abs())),
        _ => Err(NotOneNumber),
    }
}

/// What tells a server or a proxy who asks (RFC 7617), marked as sensitive.
pub(crate) fn basic(user: &[u8], password: &[u8]) -> HeaderValue {
    let encoded = STANDARD.encode([user, b":", password].concat());
    let mut value =
        HeaderValue::try_from(format!("Basic {encoded}")).expect("base64 is made of visible ASCII");
    value.set_sensitive(true);
    value
}

/// See [`content_length`].
#[derive(Debug)]
pub(crate) struct NotOneNumber;
