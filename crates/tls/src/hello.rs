//! The first message of a TLS client, looked at without a handshake.
//!
//! Only what decides where a connection goes is read: the name, the protocols, the versions. The rest is skipped by its
//! length. What is not as RFC 8446 4.1.2 says is an error, so that nobody routes by half of a message.

use thiserror::Error;

/// What a client says first (RFC 8446 4.1.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientHello {
    /// The name that it asks for (SNI, RFC 6066 3), in small letters; visible ASCII without `/`.
    pub server_name: Option<String>,
    /// The protocols that it speaks, most wanted first (ALPN, RFC 7301 3.1).
    pub alpn: Vec<Vec<u8>>,
    /// The versions that it speaks, as on the wire: 0x0304 is TLS 1.3. Where it does not list them: the one.
    pub versions: Vec<u16>,
}

/// Why bytes are no ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HelloError {
    /// They do not begin as TLS does.
    #[error("it is not TLS")]
    NotTls,
    /// It is TLS, and no ClientHello follows.
    #[error("the ClientHello is malformed: {0}")]
    Malformed(&'static str),
    /// It is longer than [`ClientHello::LIMIT`].
    #[error("the ClientHello is longer than {} bytes", ClientHello::LIMIT)]
    TooLong,
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// The largest record: 2^14 bytes (RFC 8446 5.1).
const LARGEST_RECORD: usize = 1 << 14;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

impl ClientHello {
    /// How many bytes are looked at, records' heads included. Those of browsers have 2 KiB, with tickets that hold
    /// certificates some more.
    pub const LIMIT: usize = 32 * 1024;

    /// Reads the first bytes of a connection; `None` while more are needed. What follows the message does not matter.
    ///
    /// # Errors
    /// [`HelloError`], as soon as it is certain.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, HelloError> {
        let cut = bytes.len() >= Self::LIMIT;
        let bytes = &bytes[..bytes.len().min(Self::LIMIT)];
        match message(bytes)? {
            Some(Message::Whole(body)) => Self::read(body).map(Some),
            Some(Message::Joined(message)) => Self::read(&message[4..]).map(Some),
            None if cut => Err(HelloError::TooLong),
            None => Ok(None),
        }
    }

    /// Of a message without its head.
    fn read(body: &[u8]) -> Result<Self, HelloError> {
        let mut rest = Reader(body);
        let version = rest.number()?;
        rest.bytes(32)?; // random
        rest.vector(1)?; // session
        rest.vector(2)?; // cipher suites
        rest.vector(1)?; // compression methods
        let mut hello = Self { versions: vec![version], ..Self::default() };
        // Clients of TLS 1.2 may have none.
        if rest.0.is_empty() {
            return Ok(hello);
        }
        let mut extensions = Reader(rest.vector(2)?);
        if !rest.0.is_empty() {
            return Err(HelloError::Malformed("bytes follow its extensions"));
        }
        let mut seen = [false; 3];
        while !extensions.0.is_empty() {
            let kind = extensions.number()?;
            let body = Reader(extensions.vector(2)?);
            let index = match kind {
                SERVER_NAME => 0,
                ALPN => 1,
                SUPPORTED_VERSIONS => 2,
                _ => continue,
            };
            // Two readers could take two different ones (RFC 8446 4.2).
            if std::mem::replace(&mut seen[index], true) {
                return Err(HelloError::Malformed("an extension occurs twice"));
            }
            match kind {
                SERVER_NAME => hello.server_name = server_name(body)?,
                ALPN => hello.alpn = alpn(body)?,
                _ => hello.versions = versions(body)?,
            }
        }
        Ok(hello)
    }
}

/// The ClientHello, with its head of 4 bytes where it had to be joined, without where it lies in one record.
enum Message<'a> {
    Whole(&'a [u8]),
    Joined(Vec<u8>),
}

fn message(bytes: &[u8]) -> Result<Option<Message<'_>>, HelloError> {
    let mut joined = Vec::new();
    let mut rest = bytes;
    loop {
        let Some((fragment, after)) = record(rest, joined.is_empty())? else {
            // What there is of the only record may be wrong already.
            let begun = rest.get(5..).filter(|_| joined.is_empty());
            return check_head(begun.unwrap_or_default()).map(|_| None);
        };
        // The usual case copies nothing.
        let message = if joined.is_empty() {
            fragment
        } else {
            joined.extend_from_slice(fragment);
            &joined
        };
        match check_head(message)? {
            Some(length) if message.len() >= 4 + length => {
                if joined.is_empty() {
                    return Ok(Some(Message::Whole(&fragment[4..4 + length])));
                }
                joined.truncate(4 + length);
                return Ok(Some(Message::Joined(joined)));
            }
            _ if joined.is_empty() => joined.extend_from_slice(fragment),
            _ => {}
        }
        rest = after;
    }
}

/// What was taken, and what follows.
type Split<'a> = (&'a [u8], &'a [u8]);

/// The first record's content, and what follows; `None` while it is not all there. What is there is checked.
fn record(bytes: &[u8], first: bool) -> Result<Option<Split<'_>>, HelloError> {
    let wrong = if first {
        HelloError::NotTls
    } else {
        HelloError::Malformed("something else comes in the middle of it")
    };
    // The version of the record is 3.1 in most cases, and never meant anything.
    if bytes.first().is_some_and(|kind| *kind != HANDSHAKE)
        || bytes.get(1).is_some_and(|major| *major != 3)
    {
        return Err(wrong);
    }
    let Some((head, rest)) = bytes.split_first_chunk::<5>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
    if length == 0 || length > LARGEST_RECORD {
        return Err(wrong);
    }
    Ok(rest.split_at_checked(length))
}

/// The length of the message without its head.
fn check_head(message: &[u8]) -> Result<Option<usize>, HelloError> {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(HelloError::Malformed("it is another message"));
    }
    let Some([_, length @ ..]) = message.first_chunk::<4>() else { return Ok(None) };
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length > ClientHello::LIMIT { Err(HelloError::TooLong) } else { Ok(Some(length)) }
}

fn server_name(body: Reader<'_>) -> Result<Option<String>, HelloError> {
    let mut body = body;
    let mut list = Reader(body.vector(2)?);
    body.end()?;
    let mut found = None;
    while !list.0.is_empty() {
        let kind = list.bytes(1)?[0];
        let name = list.vector(2)?;
        if kind != 0 {
            continue;
        }
        if found.is_some() {
            return Err(HelloError::Malformed("it asks for two names"));
        }
        let known = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/';
        if name.is_empty() || name.len() > 255 || !name.iter().all(known) {
            return Err(HelloError::Malformed("what it asks for is no name"));
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        // RFC 6066 3 knows no dot at the end; some send it.
        found = Some(name.strip_suffix('.').map(str::to_owned).unwrap_or(name));
    }
    Ok(found)
}

fn alpn(body: Reader<'_>) -> Result<Vec<Vec<u8>>, HelloError> {
    let mut body = body;
    let mut list = Reader(body.vector(2)?);
    body.end()?;
    let mut names = Vec::new();
    while !list.0.is_empty() {
        let name = list.vector(1)?;
        if name.is_empty() {
            return Err(HelloError::Malformed("a protocol has no name"));
        }
        names.push(name.to_vec());
    }
    Ok(names)
}

fn versions(body: Reader<'_>) -> Result<Vec<u16>, HelloError> {
    let mut body = body;
    let list = body.vector(1)?;
    body.end()?;
    if list.is_empty() || list.len() % 2 != 0 {
        return Err(HelloError::Malformed("the list of versions is cut"));
    }
    Ok(list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u16, HelloError> {
        Ok(self.bytes(2)?.iter().fold(0, |number, byte| number << 8 | u16::from(*byte)))
    }

    /// With a length of so many bytes before it.
    fn vector(&mut self, prefix: usize) -> Result<&'a [u8], HelloError> {
        let length = self.bytes(prefix)?.iter();
        self.bytes(length.fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    fn end(&self) -> Result<(), HelloError> {
        if self.0.is_empty() { Ok(()) } else { Err(CUT) }
    }
}

const CUT: HelloError = HelloError::Malformed("a length in it is wrong");

#[cfg(test)]
mod tests;
