//! CRC32C (Castagnoli, RFC 3720 appendix B.4). Headers are short and rarely have one: no table is needed.

/// The checksum of parts that follow each other.
pub(super) fn crc32c<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let bytes = parts.into_iter().flatten();
    !bytes.fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_rfc_3720() {
        assert_eq!(crc32c([&[0; 32][..]]), 0x8A91_36AA);
        assert_eq!(crc32c([&[0xFF; 32][..]]), 0x62A8_AB43);
        assert_eq!(crc32c([&b"1234"[..], b"56789"]), 0xE306_9283);
    }
}
