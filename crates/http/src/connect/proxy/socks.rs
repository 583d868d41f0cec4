//! Asks a SOCKS proxy to connect further (RFC 1928, with the passwords of RFC 1929).

use std::io;
use std::net::IpAddr;

use rosn_net::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Credentials, Proxy};
use crate::connect::ProxyError;

const VERSION: u8 = 5;
const PASSWORD_VERSION: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Where a SOCKS proxy is to connect to.
pub(in crate::connect) enum Destination<'a> {
    Ip(IpAddr),
    /// Resolved by the proxy.
    Name(&'a str),
}

/// Has the proxy connect further. No byte behind its answer is read.
pub(in crate::connect) async fn connect(
    stream: &mut Stream,
    proxy: &Proxy,
    destination: &Destination<'_>,
    port: u16,
) -> Result<(), ProxyError> {
    let request = request(destination, port)?;
    agree(stream, proxy.credentials()).await?;
    stream.write_all(&request).await?;
    stream.flush().await?;
    answer(stream).await
}

/// Agrees on how to say who asks, and says it.
async fn agree(stream: &mut Stream, credentials: Option<&Credentials>) -> Result<(), ProxyError> {
    let methods: &[u8] = match credentials {
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, PASSWORD],
        None => &[VERSION, 1, NO_AUTHENTICATION],
    };
    stream.write_all(methods).await?;
    stream.flush().await?;
    let [version, method] = read(stream).await?;
    if version != VERSION {
        return Err(ProxyError::NotSocks("its first answer is of another version"));
    }
    match (method, credentials) {
        (NO_AUTHENTICATION, _) => Ok(()),
        (PASSWORD, Some(credentials)) => authenticate(stream, credentials).await,
        (NONE_ACCEPTABLE, Some(_)) => Err(ProxyError::Socks("it takes no user and password")),
        (NONE_ACCEPTABLE, None) => Err(ProxyError::Socks(
            "it wants to be told who asks (give user and password in its URL)",
        )),
        _ => Err(ProxyError::NotSocks("it chose a method that it was not offered")),
    }
}

/// RFC 1929.
async fn authenticate(
    stream: &mut Stream,
    Credentials { user, password }: &Credentials,
) -> Result<(), ProxyError> {
    let lengths = (u8::try_from(user.len()), u8::try_from(password.len()));
    let (Ok(user_length @ 1..), Ok(password_length)) = lengths else {
        return Err(ProxyError::Socks("user and password may have up to 255 bytes"));
    };
    let mut request = vec![PASSWORD_VERSION, user_length];
    request.extend_from_slice(user);
    request.push(password_length);
    request.extend_from_slice(password);
    stream.write_all(&request).await?;
    stream.flush().await?;
    match read(stream).await? {
        [PASSWORD_VERSION, 0] => Ok(()),
        [PASSWORD_VERSION, _] => Err(ProxyError::Socks("user or password is wrong")),
        _ => Err(ProxyError::NotSocks("its answer to the password is of another version")),
    }
}

fn request(destination: &Destination<'_>, port: u16) -> Result<Vec<u8>, ProxyError> {
    let mut request = vec![VERSION, CONNECT, 0];
    match destination {
        Destination::Ip(IpAddr::V4(ip)) => {
            request.push(IPV4);
            request.extend_from_slice(&ip.octets());
        }
        Destination::Ip(IpAddr::V6(ip)) => {
            request.push(IPV6);
            request.extend_from_slice(&ip.octets());
        }
        Destination::Name(name) => {
            let Ok(length @ 1..) = u8::try_from(name.len()) else {
                return Err(ProxyError::Socks("the server's name has more than 255 bytes"));
            };
            request.extend_from_slice(&[NAME, length]);
            request.extend_from_slice(name.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

/// RFC 1928, section 6.
async fn answer(stream: &mut Stream) -> Result<(), ProxyError> {
    let [version, reply, _, kind] = read(stream).await?;
    if version != VERSION {
        return Err(ProxyError::NotSocks("its answer is of another version"));
    }
    if let Some(refusal) = refusal(reply) {
        return Err(ProxyError::Socks(refusal));
    }
    // The address that it connected from is of no use, but it is there.
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => {
            let [length] = read(stream).await?;
            usize::from(length)
        }
        _ => return Err(ProxyError::NotSocks("its answer has an address of an unknown kind")),
    };
    let mut address = [0; 255 + 2];
    read_into(stream, &mut address[..length + 2]).await
}

fn refusal(reply: u8) -> Option<&'static str> {
    let text = match reply {
        0 => return None,
        1 => "it failed",
        2 => "its rules do not allow the connection",
        3 => "no route to the server's network",
        4 => "no route to the server, or no address for its name",
        5 => "the server refused the connection",
        6 => "the server did not answer in time",
        7 => "it does not know how to connect",
        8 => "it does not know this kind of address",
        _ => "for a reason that has no name",
    };
    Some(text)
}

async fn read<const N: usize>(stream: &mut Stream) -> Result<[u8; N], ProxyError> {
    let mut bytes = [0; N];
    read_into(stream, &mut bytes).await?;
    Ok(bytes)
}

async fn read_into(stream: &mut Stream, bytes: &mut [u8]) -> Result<(), ProxyError> {
    match stream.read_exact(bytes).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ProxyError::Closed),
        Err(error) => Err(error.into()),
    }
}
