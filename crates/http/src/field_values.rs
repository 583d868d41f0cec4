//! What field values say that client and server both have to understand.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The members of the lists in all fields of this name, RFC 9110 section 5.6.1.
pub(crate) fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).into_iter().flat_map(members_of)
}

/// The members of a list.
pub(crate) fn members_of(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let members = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    members.filter(|member| !member.is_empty())
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

/// See [`content_length`].
#[derive(Debug)]
pub(crate) struct NotOneNumber;
