//! Classes of bytes, as RFC 9110 section 5.6 and RFC 3986 define them.

/// Whether `byte` may be in a token, RFC 9110 section 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
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

/// How many control characters other than HTAB there are.
pub(crate) fn count_controls(bytes: &[u8]) -> usize {
    let mut total = 0;
    // Counting in a byte lets the compiler count sixteen bytes at a time.
    for part in bytes.chunks(128) {
        let mut count = 0u8;
        for &byte in part {
            count += u8::from(is_control(byte));
        }
        total += usize::from(count);
    }
    total
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
pub(crate) fn list(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
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
