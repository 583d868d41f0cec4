//! Frames (RFC 9113, section 4.1) and the literals of HPACK that are sent (RFC 7541, section 6.2).

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame before its payload.
const HEAD: usize = 9;

/// The connection's window before any update (RFC 9113, section 6.9.2).
pub const FIRST_WINDOW: i64 = 65_535;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const ACK: u8 = 1;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Data = 0,
    Headers = 1,
    Reset = 3,
    Settings = 4,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
}

impl Kind {
    /// `None` is a kind that means nothing here.
    fn of(code: u8) -> Option<Self> {
        use Kind::{Data, GoAway, Headers, Ping, Reset, Settings, WindowUpdate};
        [Data, Headers, Reset, Settings, Ping, GoAway, WindowUpdate]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }
}

pub struct Frame<'a> {
    pub kind: Option<Kind>,
    pub flags: u8,
    pub stream: u32,
    pub payload: &'a [u8],
}

impl Frame<'_> {
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, Some(Kind::Data | Kind::Headers)) && self.flags & END_STREAM != 0
    }

    pub fn is_ack(&self) -> bool {
        self.flags & ACK != 0
    }

    /// Of a WINDOW_UPDATE: by how much the window grows.
    pub fn increment(&self) -> i64 {
        self.payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes).into())
    }
}

/// Cuts the first whole frame off `bytes`.
pub fn take<'a>(bytes: &mut &'a [u8]) -> Option<Frame<'a>> {
    let [l2, l1, l0, kind, flags, s3, s2, s1, s0] = *bytes.first_chunk::<HEAD>()?;
    let length = usize::from(l2) << 16 | usize::from(l1) << 8 | usize::from(l0);
    let payload = bytes.get(HEAD..HEAD + length)?;
    *bytes = &bytes[HEAD + length..];
    let stream = u32::from_be_bytes([s3 & 0x7f, s2, s1, s0]);
    Some(Frame { kind: Kind::of(kind), flags, stream, payload })
}

/// Writes a frame behind what stands in `out`.
pub fn put(out: &mut Vec<u8>, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
    let [_, l2, l1, l0] = (payload.len() as u32).to_be_bytes();
    out.extend_from_slice(&[l2, l1, l0, kind as u8, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A frame of SETTINGS with these values.
pub fn put_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend_from_slice(&name.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    put(out, Kind::Settings, 0, 0, &payload);
}

/// Gives `increment` bytes back to the connection's window.
pub fn put_window_update(out: &mut Vec<u8>, increment: u32) {
    put(out, Kind::WindowUpdate, 0, 0, &increment.to_be_bytes());
}

/// Names of the settings (RFC 9113, section 6.5.2).
pub const ENABLE_PUSH: u16 = 2;
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// A field whose name is at `name` of the static table; it enters the dynamic table if `indexed`.
pub fn put_value(block: &mut Vec<u8>, indexed: bool, name: u8, value: &str) {
    match (indexed, name) {
        (true, _) => block.push(0x40 | name),
        (false, ..15) => block.push(name),
        (false, _) => block.extend_from_slice(&[0x0f, name - 15]),
    }
    put_text(block, value);
}

/// A field with a name that the static table does not have.
pub fn put_field(block: &mut Vec<u8>, indexed: bool, name: &str, value: &str) {
    block.push(if indexed { 0x40 } else { 0 });
    put_text(block, name);
    put_text(block, value);
}

fn put_text(block: &mut Vec<u8>, text: &str) {
    assert!(text.len() < 127, "a length of one byte");
    block.push(text.len() as u8);
    block.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_taken() {
        let mut out = Vec::new();
        put(&mut out, Kind::Headers, END_STREAM | END_HEADERS, 7, b"block");
        put_settings(&mut out, &[(MAX_CONCURRENT_STREAMS, 128)]);
        for cut in 0..14 {
            assert!(take(&mut &out[..cut]).is_none());
        }
        let mut rest = &out[..];
        let frame = take(&mut rest).unwrap();
        assert!(frame.kind == Some(Kind::Headers) && frame.ends_stream() && frame.stream == 7);
        assert_eq!(frame.payload, b"block");
        assert_eq!(take(&mut rest).unwrap().payload, [0, 3, 0, 0, 0, 128]);
        assert!(rest.is_empty());
    }

    /// RFC 7541, C.2.1 and C.2.2, without Huffman codes.
    #[test]
    fn literals() {
        let mut block = Vec::new();
        put_field(&mut block, true, "custom-key", "custom-header");
        assert_eq!(block, b"\x40\x0acustom-key\x0dcustom-header");
        block.clear();
        put_value(&mut block, false, 4, "/sample/path");
        assert_eq!(block, b"\x04\x0c/sample/path");
        block.clear();
        put_value(&mut block, false, 31, "a");
        assert_eq!(block, b"\x0f\x10\x01a");
    }
}
