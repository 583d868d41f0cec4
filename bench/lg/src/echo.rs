//! The backend's end of a WebSocket: each message goes back once it has come whole.

use crate::frame::{Header, apply_mask, write_header};

/// A longer message is not echoed but ends the connection.
const LONGEST: usize = 1 << 20;

/// Messages on their way back.
#[derive(Default)]
pub struct Echo {
    /// The start of a frame's header.
    head: Vec<u8>,
    /// The payload that is being read: its mask, and how much of it has come and is still to come.
    payload: Option<(Option<[u8; 4]>, usize, usize)>,
    out: Vec<u8>,
    /// How much of `out` belongs to whole messages.
    whole: usize,
    sent: usize,
}

impl Echo {
    /// Takes what was read. `false`: these are no frames that the generator sends.
    pub fn feed(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let Some((mask, came, left)) = self.payload else {
                match self.start(bytes) {
                    Some(rest) => bytes = rest,
                    None => return false,
                }
                continue;
            };
            let (now, rest) = bytes.split_at(left.min(bytes.len()));
            let at = self.out.len();
            self.out.extend_from_slice(now);
            if let Some(mask) = mask {
                apply_mask(mask, came, &mut self.out[at..]);
            }
            self.payload = Some((mask, came + now.len(), left - now.len()));
            self.end_of_message();
            bytes = rest;
        }
        true
    }

    /// What is to be sent now.
    pub fn ready(&self) -> &[u8] {
        &self.out[self.sent..self.whole]
    }

    pub fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.out.len() {
            self.out.clear();
            (self.sent, self.whole) = (0, 0);
        }
    }

    /// Reads a header, and answers what stands behind it. `None`: not one of ours.
    fn start<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let before = self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(14)]);
        let Some(header) = Header::parse(&self.head).ok()? else { return Some(&[]) };
        self.head.clear();
        if header.payload > LONGEST {
            return None;
        }
        write_header(header.payload, None, &mut self.out);
        self.payload = Some((header.mask, 0, header.payload));
        self.end_of_message();
        Some(&bytes[header.length - before..])
    }

    fn end_of_message(&mut self) {
        if let Some((_, _, 0)) = self.payload {
            self.payload = None;
            self.whole = self.out.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_unmasked_however_they_are_cut() {
        let payloads = [&b"Hello"[..], b"", &[7; 300]];
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for payload in payloads {
            let mask = [0x37, 0xfa, 0x21, 0x3d];
            write_header(payload.len(), Some(mask), &mut bytes);
            let at = bytes.len();
            bytes.extend_from_slice(payload);
            apply_mask(mask, 0, &mut bytes[at..]);
            write_header(payload.len(), None, &mut expected);
            expected.extend_from_slice(payload);
        }
        for size in 1..=bytes.len() {
            let (mut echo, mut back) = (Echo::default(), Vec::new());
            for part in bytes.chunks(size) {
                assert!(echo.feed(part));
                back.extend_from_slice(echo.ready());
                let count = echo.ready().len();
                echo.sent(count);
            }
            assert_eq!(back, expected, "parts of {size} bytes");
        }
    }

    #[test]
    fn only_whole_messages_are_ready() {
        let mut echo = Echo::default();
        assert!(echo.feed(&[0x82, 0x83, 0, 0, 0, 0, b'a', b'b']));
        assert!(echo.ready().is_empty());
        assert!(echo.feed(b"c"));
        assert_eq!(echo.ready(), [0x82, 3, b'a', b'b', b'c']);
    }

    #[test]
    fn other_frames_and_long_ones_are_refused() {
        assert!(!Echo::default().feed(b"GET / HTTP/1.1\r\n"));
        assert!(!Echo::default().feed(&[0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]));
    }
}
