//! A header into bytes.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::crc32c::crc32c;
use super::{Extension, Header, MAX_V2, SIGNATURE, UNIX_PATH, V2_FIXED, Version};
use crate::PeerAddr;

/// Writes a header, to be sent before anything else.
///
/// Without addresses it is `UNKNOWN` in version 1, as it is for unix sockets, and `LOCAL` in version 2. Extensions are
/// written in version 2 beside addresses, as long as the header stays within [`MAX_V2`]; an
/// [`Extension::CRC32C`] gets the right checksum.
pub fn write(header: &Header, version: Version) -> Vec<u8> {
    match version {
        Version::V1 => v1(header),
        Version::V2 => v2(header),
    }
}

fn v1(header: &Header) -> Vec<u8> {
    let Some((PeerAddr::Ip(source), PeerAddr::Ip(destination))) = &header.addresses else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let (from, to) = one_family(*source, *destination);
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

/// Both as IPv6 where one of them is.
fn one_family(source: SocketAddr, destination: SocketAddr) -> (IpAddr, IpAddr) {
    let (source, destination) = (source.ip(), destination.ip());
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    let mapped = |ip| match ip {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        ip @ IpAddr::V6(_) => ip,
    };
    (mapped(source), mapped(destination))
}

fn v2(header: &Header) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    // Version 2 and PROXY; STREAM.
    let family = match &header.addresses {
        None => {
            // Version 2 and LOCAL, no addresses.
            bytes.extend([0x20, 0, 0, 0]);
            return bytes;
        }
        Some((PeerAddr::Ip(source), PeerAddr::Ip(destination))) => {
            if one_family(*source, *destination).0.is_ipv4() { 0x11 } else { 0x21 }
        }
        Some((PeerAddr::Unix(_), PeerAddr::Unix(_))) => 0x31,
        // There is no such family: the addresses stay unsaid.
        Some(_) => 0x00,
    };
    bytes.extend([0x21, family, 0, 0]);
    match &header.addresses {
        Some((PeerAddr::Ip(source), PeerAddr::Ip(destination))) => {
            let (from, to) = one_family(*source, *destination);
            put_ip(&mut bytes, from);
            put_ip(&mut bytes, to);
            bytes.extend(source.port().to_be_bytes());
            bytes.extend(destination.port().to_be_bytes());
        }
        Some((PeerAddr::Unix(source), PeerAddr::Unix(destination))) => {
            bytes.extend(unix(source.as_deref()));
            bytes.extend(unix(destination.as_deref()));
        }
        _ => {}
    }
    if family != 0 {
        put_extensions(&mut bytes, &header.extensions);
    }
    bytes
}

fn put_ip(bytes: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => bytes.extend(ip.octets()),
        IpAddr::V6(ip) => bytes.extend(ip.octets()),
    }
}

/// A path that does not fit, which no socket has, stays unsaid.
fn unix(path: Option<&Path>) -> [u8; UNIX_PATH] {
    let mut field = [0; UNIX_PATH];
    let path = path.map(|path| path.as_os_str().as_encoded_bytes()).unwrap_or_default();
    if let Some(start) = field.get_mut(..path.len()) {
        start.copy_from_slice(path);
    }
    field
}

/// Puts the extensions behind the addresses, the length of all into its place, and then the checksums.
fn put_extensions(bytes: &mut Vec<u8>, extensions: &[Extension]) {
    let mut checksum = None;
    for Extension { kind, value } in extensions {
        let is_checksum = *kind == Extension::CRC32C;
        if is_checksum && checksum.is_some() {
            continue; // A second one would have to count the first.
        }
        let value: &[u8] = if is_checksum { &[0; 4] } else { value };
        let Ok(length) = u16::try_from(value.len()) else { continue };
        if bytes.len() + 3 + value.len() > MAX_V2 {
            continue;
        }
        bytes.push(*kind);
        bytes.extend(length.to_be_bytes());
        if is_checksum {
            checksum = Some(bytes.len());
        }
        bytes.extend(value);
    }
    let length = u16::try_from(bytes.len() - V2_FIXED).unwrap_or(u16::MAX);
    bytes[14..16].copy_from_slice(&length.to_be_bytes());
    if let Some(start) = checksum {
        let sum = crc32c([&bytes[..]]);
        bytes[start..start + 4].copy_from_slice(&sum.to_be_bytes());
    }
}
