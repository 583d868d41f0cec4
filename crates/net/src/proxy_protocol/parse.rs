//! Bytes into a header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;

use super::crc32c::crc32c;
use super::{
    Extension, Header, MAX_V1, MAX_V2, ProxyProtocolError, SIGNATURE, UNIX_PATH, V2_FIXED,
};
use crate::PeerAddr;

/// What [`parse`] has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A whole header.
    Complete {
        /// What it says.
        header: Header,
        /// How many bytes it takes; the others are the client's.
        len: usize,
    },
    /// All bytes belong to a header that needs more.
    Partial,
}

/// Reads a header of either version from the first bytes of a connection.
///
/// # Errors
/// These bytes cannot be, or become, a header.
pub fn parse(bytes: &[u8]) -> Result<Progress, ProxyProtocolError> {
    let begins = |with: &[u8]| {
        let common = bytes.len().min(with.len());
        bytes[..common] == with[..common]
    };
    if begins(SIGNATURE) {
        v2(bytes)
    } else if begins(b"PROXY ") {
        v1(bytes)
    } else {
        Err(ProxyProtocolError::Missing)
    }
}

fn malformed<T>(what: &'static str) -> Result<T, ProxyProtocolError> {
    Err(ProxyProtocolError::Malformed(what))
}

fn v1(bytes: &[u8]) -> Result<Progress, ProxyProtocolError> {
    let seen = &bytes[..bytes.len().min(MAX_V1)];
    let Some(end) = seen.iter().position(|byte| *byte == b'\n') else {
        if seen.len() == MAX_V1 {
            return Err(ProxyProtocolError::TooLong { limit: MAX_V1 });
        }
        // A CR that is not the last byte so far will have no LF after it.
        let broken = seen.iter().rev().skip(1).any(|byte| *byte == b'\r');
        return if broken { malformed("a CR without LF") } else { Ok(Progress::Partial) };
    };
    let Some(line) = seen[..end].strip_suffix(b"\r") else {
        return malformed("an LF without CR");
    };
    let Ok(line) = std::str::from_utf8(line) else { return malformed("it is not ASCII") };
    let addresses = v1_addresses(line)?;
    let header = Header { addresses, extensions: Vec::new() };
    Ok(Progress::Complete { header, len: end + 1 })
}

fn v1_addresses(line: &str) -> Result<Option<(PeerAddr, PeerAddr)>, ProxyProtocolError> {
    let mut words = line.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        // What follows is to be ignored (section 2.1).
        return Ok(None);
    }
    let words: Vec<_> = words.collect();
    let &[source, destination, source_port, destination_port] = &words[..] else {
        return malformed("it has not two addresses and two ports");
    };
    let ip = match family {
        "TCP4" => ip::<Ipv4Addr>,
        "TCP6" => ip::<Ipv6Addr>,
        _ => return malformed("its family is none of TCP4, TCP6 and UNKNOWN"),
    };
    let source = SocketAddr::new(ip(source)?, port(source_port)?);
    let destination = SocketAddr::new(ip(destination)?, port(destination_port)?);
    Ok(Some((source.into(), destination.into())))
}

fn ip<T: FromStr + Into<IpAddr>>(text: &str) -> Result<IpAddr, ProxyProtocolError> {
    let parsed = text.parse::<T>().map(Into::into);
    parsed.map_err(|_| ProxyProtocolError::Malformed("an address is not of its family"))
}

fn port(text: &str) -> Result<u16, ProxyProtocolError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    match text.parse() {
        Ok(port) if plain && !padded => Ok(port),
        _ => malformed("a port is not a number from 0 to 65535"),
    }
}

fn v2(bytes: &[u8]) -> Result<Progress, ProxyProtocolError> {
    // Each fault is told as soon as it can be seen.
    let command = match bytes.get(12) {
        None => return Ok(Progress::Partial),
        Some(byte) if byte >> 4 != 2 => return malformed("its version is not 2"),
        Some(byte @ (0x20 | 0x21)) => byte & 1,
        Some(_) => return malformed("its command is neither LOCAL nor PROXY"),
    };
    let Some(family) = bytes.get(13) else { return Ok(Progress::Partial) };
    if family >> 4 > 3 || family & 0xF > 2 {
        return malformed("its address family or protocol is unknown");
    }
    let Some(length) = bytes.get(14..16) else { return Ok(Progress::Partial) };
    let len = V2_FIXED + usize::from(u16::from_be_bytes([length[0], length[1]]));
    if len > MAX_V2 {
        return Err(ProxyProtocolError::TooLong { limit: MAX_V2 });
    }
    let Some(whole) = bytes.get(..len) else { return Ok(Progress::Partial) };
    let known = command == 1 && family >> 4 != 0 && family & 0xF != 0;
    let header = if known { v2_header(whole, family >> 4)? } else { Header::default() };
    Ok(Progress::Complete { header, len })
}

fn v2_header(whole: &[u8], family: u8) -> Result<Header, ProxyProtocolError> {
    let body = &whole[V2_FIXED..];
    let size = match family {
        1 => 2 * 4 + 4,
        2 => 2 * 16 + 4,
        _ => 2 * UNIX_PATH,
    };
    if body.len() < size {
        return malformed("it is too short for its addresses");
    }
    let (addresses, rest) = body.split_at(size);
    let addresses = match family {
        1 => ip_addresses::<4>(addresses),
        2 => ip_addresses::<16>(addresses),
        _ => Some((unix(&addresses[..UNIX_PATH]), unix(&addresses[UNIX_PATH..]))),
    };
    Ok(Header { addresses, extensions: extensions(whole, rest)? })
}

fn ip_addresses<const N: usize>(bytes: &[u8]) -> Option<(PeerAddr, PeerAddr)>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = bytes.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let destination_port = rest.first_chunk::<2>()?;
    let addr = |ip: &[u8; N], port: &[u8; 2]| {
        PeerAddr::from(SocketAddr::new(IpAddr::from(*ip), u16::from_be_bytes(*port)))
    };
    Some((addr(source, source_port), addr(destination, destination_port)))
}

/// A path that ends at its first NUL. One that begins with NUL is a name of Linux's abstract namespace.
fn unix(field: &[u8]) -> PeerAddr {
    let end = match field.first() {
        Some(0) => field.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1),
        _ => field.iter().position(|byte| *byte == 0).unwrap_or(field.len()),
    };
    PeerAddr::Unix((end > 0).then(|| path(&field[..end])))
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> Box<Path> {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(bytes)).into()
}

#[cfg(not(unix))]
fn path(bytes: &[u8]) -> Box<Path> {
    Path::new(&*String::from_utf8_lossy(bytes)).into()
}

fn extensions(whole: &[u8], mut rest: &[u8]) -> Result<Vec<Extension>, ProxyProtocolError> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let Some((&[kind, high, low], after)) = rest.split_first_chunk::<3>() else {
            return malformed("an extension is cut off");
        };
        let Some((value, after)) = after.split_at_checked(u16::from_be_bytes([high, low]).into())
        else {
            return malformed("an extension is cut off");
        };
        if kind == Extension::CRC32C {
            let start = whole.len() - after.len() - value.len();
            check(whole, start, value)?;
        }
        found.push(Extension { kind, value: value.into() });
        rest = after;
    }
    Ok(found)
}

/// Checks the sum, which counts itself as zeros.
fn check(whole: &[u8], start: usize, value: &[u8]) -> Result<(), ProxyProtocolError> {
    let Ok(value) = <[u8; 4]>::try_from(value) else {
        return malformed("its checksum has not 4 bytes");
    };
    if crc32c([&whole[..start], &[0; 4], &whole[start + 4..]]) != u32::from_be_bytes(value) {
        return malformed("its checksum is wrong");
    }
    Ok(())
}
