//! WebSocket frames (RFC 6455 section 5.2), as far as the two ends of an echo need them: binary
//! messages of one frame, masked from the client and bare from the server.

/// FIN and the opcode of a binary frame.
const BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;

/// What stands before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of this header, in bytes.
    pub length: usize,
    /// In bytes.
    pub payload: usize,
    pub mask: Option<[u8; 4]>,
}

impl Header {
    /// The header of a binary message at the start of `bytes`. `Ok(None)`: it has not come whole.
    /// `Err`: something that neither end of the echo sends.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, ()> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if *first != BINARY {
            return Err(());
        }
        let extended = match second & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = second & MASKED != 0;
        let Some((lengths, rest)) = rest.split_at_checked(extended) else { return Ok(None) };
        let payload = match extended {
            0 => usize::from(second & !MASKED),
            _ => lengths.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)),
        };
        let mask = match rest.first_chunk() {
            _ if !masked => None,
            Some(mask) => Some(*mask),
            None => return Ok(None),
        };
        let length = 2 + extended + if masked { 4 } else { 0 };
        Ok(Some(Self { length, payload, mask }))
    }
}

/// Appends the header of a binary message of `payload` bytes.
pub fn write_header(payload: usize, mask: Option<[u8; 4]>, into: &mut Vec<u8>) {
    let masked = if mask.is_some() { MASKED } else { 0 };
    into.push(BINARY);
    match payload {
        0..=125 => into.push(masked | payload as u8),
        126..=0xffff => {
            into.push(masked | 126);
            into.extend_from_slice(&(payload as u16).to_be_bytes());
        }
        _ => {
            into.push(masked | 127);
            into.extend_from_slice(&(payload as u64).to_be_bytes());
        }
    }
    into.extend_from_slice(mask.as_ref().map_or(&[], |mask| mask));
}

/// Masks, or takes the mask off: the same. `at` is the place of the first byte in its payload.
pub fn apply_mask(mask: [u8; 4], at: usize, bytes: &mut [u8]) {
    let mask: [u8; 4] = std::array::from_fn(|index| mask[(at + index) % 4]);
    // whole words, which the compiler makes vectors of
    let mut words = bytes.chunks_exact_mut(4);
    for word in &mut words {
        word.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    words.into_remainder().iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written_and_not_before_it_is_whole() {
        for payload in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let mut bytes = Vec::new();
                write_header(payload, mask, &mut bytes);
                for cut in 0..bytes.len() {
                    assert_eq!(Header::parse(&bytes[..cut]), Ok(None), "{payload}, {cut} bytes");
                }
                let header = Header { length: bytes.len(), payload, mask };
                assert_eq!(Header::parse(&bytes), Ok(Some(header)));
            }
        }
        assert_eq!(Header::parse(b"HTTP"), Err(()));
    }

    /// The masked "Hello" of RFC 6455 section 5.7, in any two parts.
    #[test]
    fn a_mask_is_applied_at_any_place() {
        for cut in 0..=5 {
            let mut bytes = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
            let (first, second) = bytes.split_at_mut(cut);
            apply_mask([0x37, 0xfa, 0x21, 0x3d], 0, first);
            apply_mask([0x37, 0xfa, 0x21, 0x3d], cut, second);
            assert_eq!(&bytes, b"Hello");
        }
    }
}
