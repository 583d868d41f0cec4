//! The fields of a response.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use rosn_h1::Name;

use super::connection::Connection;
use crate::error::Kind;
use crate::{Error, Phase};

/// The fields of the head that is at the start of the inbound bytes, `len` bytes long.
pub(super) fn fields(connection: &Connection, len: usize) -> Result<HeaderMap, Error> {
    let found = connection.head.fields();
    // The values share one copy of the head.
    let block = Bytes::copy_from_slice(&connection.inbound.unread()[..len]);
    let mut map = HeaderMap::with_capacity(found.len());
    for field in found {
        let name = match known(field.id) {
            Some(name) => name,
            None => HeaderName::from_bytes(field.name.of(&block)).map_err(broken)?,
        };
        let value = block.slice(field.value.start as usize..field.value.end as usize);
        let value = HeaderValue::from_maybe_shared(value).map_err(broken)?;
        map.try_append(name, value).map_err(broken)?;
    }
    Ok(map)
}

/// The fields of a trailer section: lines that each end in CRLF.
pub(super) fn trailers(lines: &[u8]) -> Result<HeaderMap, Error> {
    let mut map = HeaderMap::new();
    for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let name = HeaderName::from_bytes(&line[..colon]).map_err(broken)?;
        let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
        let value = HeaderValue::from_bytes(value).map_err(broken)?;
        map.try_append(name, value).map_err(broken)?;
    }
    Ok(map)
}

fn broken(error: impl Into<crate::BoxError>) -> Error {
    Error::of(Phase::Head, Kind::Parse).because(error)
}

/// The name of a field that the codec knows, which need not be looked at again.
fn known(name: Name) -> Option<HeaderName> {
    use http::header;
    Some(match name {
        Name::CacheControl => header::CACHE_CONTROL,
        Name::Connection => header::CONNECTION,
        Name::ContentEncoding => header::CONTENT_ENCODING,
        Name::ContentLength => header::CONTENT_LENGTH,
        Name::ContentType => header::CONTENT_TYPE,
        Name::Date => header::DATE,
        Name::Location => header::LOCATION,
        Name::Server => header::SERVER,
        Name::SetCookie => header::SET_COOKIE,
        Name::TransferEncoding => header::TRANSFER_ENCODING,
        Name::Via => header::VIA,
        _ => return None,
    })
}
