//! What v2ray puts around each QUIC packet: `[header][nonce 12][AEAD(packet)][tag 16]`, where the header and the seal
//! may be missing (v2ray `transport/internet/quic/conn.go`).

#[cfg(test)]
mod tests;

use std::ops::Range;

use aws_lc_rs::aead::{
    AES_128_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use aws_lc_rs::{digest, rand};
use rosn_config::checked::{DatagramSecurity, QuicSettings};

use crate::packet_header::Header;

/// Bytes that both AEADs add behind what they seal.
const TAG: usize = 16;

/// Opens what the socket receives, and makes what seals.
#[derive(Debug)]
pub(super) struct Envelope {
    header: Header,
    key: Option<LessSafeKey>,
}

/// Seals what one socket sends: the header counts datagrams.
#[derive(Debug)]
pub(super) struct Sealer {
    header: Header,
    /// The datagrams of the batch that is being sent.
    out: Vec<u8>,
    nonces: Vec<u8>,
}

impl Envelope {
    pub(super) fn new(settings: &QuicSettings) -> Self {
        let key = algorithm(settings.security).map(|algorithm| {
            let mut hash = digest::Context::new(&digest::SHA256);
            hash.update(settings.key.0.as_bytes());
            hash.update(b"v2ray-quic-salt");
            let hash = hash.finish();
            let key = UnboundKey::new(algorithm, &hash.as_ref()[..algorithm.key_len()]);
            LessSafeKey::new(key.expect("the key has the length that the algorithm says"))
        });
        Self { header: Header::new(settings.header), key }
    }

    /// Bytes that a datagram is longer than its packet.
    pub(super) fn overhead(&self) -> usize {
        self.header.len() + if self.key.is_some() { NONCE_LEN + TAG } else { 0 }
    }

    pub(super) fn sealer(&self) -> Sealer {
        Sealer { header: self.header.clone(), out: Vec::new(), nonces: Vec::new() }
    }

    /// Seals packets of `stride` bytes each (the last may be shorter). What comes back are datagrams of
    /// `stride` and [`Envelope::overhead`].
    pub(super) fn seal<'a>(
        &self,
        sealer: &'a mut Sealer,
        packets: &[u8],
        stride: usize,
    ) -> Result<&'a [u8], SealError> {
        let Sealer { header, out, nonces } = sealer;
        let count = packets.len().div_ceil(stride);
        out.clear();
        out.reserve(packets.len() + count * self.overhead());
        // v2ray draws each nonce at random, and so do we, for the whole batch at a time.
        nonces.resize(if self.key.is_some() { count * NONCE_LEN } else { 0 }, 0);
        rand::fill(nonces).map_err(|_| SealError)?;
        for (index, packet) in packets.chunks(stride).enumerate() {
            let start = out.len();
            out.resize(start + header.len(), 0);
            header.put(&mut out[start..]);
            let Some(key) = &self.key else {
                out.extend_from_slice(packet);
                continue;
            };
            let nonce = &nonces[index * NONCE_LEN..][..NONCE_LEN];
            out.extend_from_slice(nonce);
            let start = out.len();
            out.extend_from_slice(packet);
            let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
            let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut out[start..]);
            out.extend_from_slice(tag.map_err(|_| SealError)?.as_ref());
        }
        Ok(out)
    }

    /// Opens datagrams of `stride` bytes each (the last may be shorter) in place, and closes the gaps. Returns how many
    /// bytes of packets `buffer` then begins with, and their stride. What is no sealed packet is left out.
    pub(super) fn open(&self, buffer: &mut [u8], stride: usize) -> (usize, usize) {
        let overhead = self.overhead();
        let mut filled = 0;
        let mut at = 0;
        while at < buffer.len() {
            let end = (at + stride.max(1)).min(buffer.len());
            if let Some(packet) = self.open_one(&mut buffer[at..end]) {
                let packet = at + packet.start..at + packet.end;
                let length = packet.len();
                buffer.copy_within(packet, filled);
                filled += length;
            }
            at = end;
        }
        (filled, stride.saturating_sub(overhead))
    }

    /// Where the packet is, in the datagram that it was opened in.
    fn open_one(&self, datagram: &mut [u8]) -> Option<Range<usize>> {
        if datagram.len() <= self.overhead() {
            return None;
        }
        let start = self.header.len();
        let Some(key) = &self.key else { return Some(start..datagram.len()) };
        let (nonce, sealed) = datagram[start..].split_at_mut(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = key.open_in_place(nonce, Aad::empty(), sealed).ok()?.len();
        Some(start + NONCE_LEN..start + NONCE_LEN + length)
    }
}

/// The random generator or the cipher refused, which neither does for what is sealed here.
#[derive(Debug)]
pub(super) struct SealError;

fn algorithm(security: DatagramSecurity) -> Option<&'static Algorithm> {
    match security {
        DatagramSecurity::None => None,
        DatagramSecurity::Aes128Gcm => Some(&AES_128_GCM),
        DatagramSecurity::ChaCha20Poly1305 => Some(&CHACHA20_POLY1305),
        DatagramSecurity::Auto if aes_is_fast() => Some(&AES_128_GCM),
        DatagramSecurity::Auto => Some(&CHACHA20_POLY1305),
    }
}

/// Whether the processor has instructions for AES-GCM. Both ends must come to the same answer, so this is v2ray's
/// (`hasGCMAsm` of Go's crypto/tls).
fn aes_is_fast() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes")
        && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return cfg!(target_arch = "s390x");
}
