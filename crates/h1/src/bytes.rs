//! Classes of bytes, as RFC 9110 section 5.6 and RFC 3986 define them.

/// Whether `byte` may be in a token, RFC 9110 section 5.6.2.
pub fn is_token(byte: u8) -> bool {
    CLASSES[byte as usize] & TOKEN != 0
}

/// Whether `bytes` is a token of at least one byte.
pub(crate) fn is_all_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token(byte))
}

/// Whether `byte` may stand for itself in a host name: unreserved or sub-delims, RFC 3986
/// section 3.2.2, without the comma.
pub(crate) fn is_host(byte: u8) -> bool {
    CLASSES[byte as usize] & HOST != 0
}

/// Whether `byte` is a control character other than HTAB, RFC 9110 section 5.5.
pub(crate) fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') | (byte == 0x7f)
}

/// Where the first control character other than HTAB is.
pub(crate) fn find_control(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // In each byte the top bit is set where it is below 0x20, and where it is 0x7f. A borrow
        // may set it in a byte above such a one too, never below: the lowest one is right.
        let value = u64::from_le_bytes(*word);
        let delete = value ^ repeat(0x7f);
        let low = value.wrapping_sub(repeat(0x20)) & !value;
        let hits = (low | (delete.wrapping_sub(repeat(1)) & !delete)) & repeat(0x80);
        if hits == 0 {
            continue;
        }
        let first = hits.trailing_zeros() as usize / 8;
        // HTAB looks like the others so far.
        if let Some(more) = word[first..].iter().position(|&byte| is_control(byte)) {
            return Some(at * 8 + first + more);
        }
    }
    let start = bytes.len() - rest.len();
    rest.iter().position(|&byte| is_control(byte)).map(|at| start + at)
}

/// Where the first colon is, looking at the first `length` bytes and perhaps a few more.
///
/// Most names are so short that calling memchr costs more than this.
pub(crate) fn find_colon(bytes: &[u8], length: usize) -> Option<usize> {
    let (words, rest) = bytes[..bytes.len().min(length + 8)].as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let value = u64::from_le_bytes(*word) ^ repeat(b':');
        let hits = value.wrapping_sub(repeat(1)) & !value & repeat(0x80);
        if hits != 0 {
            return Some(at * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|&byte| byte == b':').map(|at| words.len() * 8 + at)
}

/// Eight times the same byte.
const fn repeat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Whether every byte is visible ASCII and none starts a fragment.
pub(crate) fn is_target(bytes: &[u8]) -> bool {
    let mut bad = false;
    for &byte in bytes {
        bad |= (byte <= 0x20) | (byte >= 0x7f) | (byte == b'#');
    }
    !bad
}

/// `bytes` without the spaces and tabs around them, RFC 9110 section 5.6.3.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list without the empty ones, RFC 9110 section 5.6.1.
pub fn list(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

const TOKEN: u8 = 1;
const HOST: u8 = 2;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let value = byte as u8;
        if value.is_ascii_alphanumeric() {
            classes[byte] = TOKEN | HOST;
        }
        byte += 1;
    }
    let token = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < token.len() {
        classes[token[at] as usize] |= TOKEN;
        at += 1;
    }
    let host = b"-._~!$&'()*+;=";
    let mut at = 0;
    while at < host.len() {
        classes[host[at] as usize] |= HOST;
        at += 1;
    }
    classes
};
