//! What each datagram is wrapped in: a checksum and a scramble, or AES-128-GCM where there is a seed.

#[cfg(test)]
mod tests;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};

/// FNV-1a and the length of what follows.
const CHECK: usize = 6;
const TAG: usize = 16;
/// Datagrams whose checksums are computed side by side: each byte of one has to wait for the multiplication of the
/// byte before it, and a processor has room for about this many.
const LANES: usize = 4;

/// Wraps and unwraps what datagrams hold after their packet header.
#[derive(Debug)]
pub(super) enum Seal {
    /// v2ray's "simple authenticator": no key, and no protection.
    Scramble,
    /// AES-128-GCM with a random nonce before it.
    Aes(Box<LessSafeKey>),
}

impl Seal {
    /// A seed, the empty one too, means encryption.
    pub(super) fn new(seed: Option<&str>) -> Self {
        let Some(seed) = seed else { return Self::Scramble };
        let hash = digest(&SHA256, seed.as_bytes());
        let key =
            UnboundKey::new(&AES_128_GCM, &hash.as_ref()[..16]).expect("the key has 16 bytes");
        Self::Aes(Box::new(LessSafeKey::new(key)))
    }

    /// By how many bytes v2ray thinks that sealing makes a datagram longer; its payloads are cut by that.
    ///
    /// It forgets the nonce, and so sealed datagrams may have 12 bytes more than the configured MTU. rosn counts them
    /// in, see [`Seal::before`] and [`Seal::after`].
    pub(super) fn before(&self) -> usize {
        match self {
            Self::Scramble => CHECK,
            Self::Aes(_) => NONCE_LEN,
        }
    }

    /// Bytes after the segments.
    pub(super) fn after(&self) -> usize {
        match self {
            Self::Scramble => 0,
            Self::Aes(_) => TAG,
        }
    }

    /// Seals datagrams in place: each is a packet header of `header` bytes, [`Seal::before`] bytes of room, segments, and
    /// [`Seal::after`] bytes of room.
    pub(super) fn seal(&self, datagrams: &mut [u8], size: usize, header: usize) {
        match self {
            Self::Scramble => {
                for four in datagrams.chunks_mut(size * LANES) {
                    let mut lanes = lanes(four, size, header);
                    for bytes in &mut lanes {
                        if let Some((check, segments)) = bytes.split_at_mut_checked(CHECK) {
                            // No datagram is longer than 65,535 bytes.
                            check[4..].copy_from_slice(&(segments.len() as u16).to_be_bytes());
                        }
                    }
                    let sums = checksums(&lanes);
                    for (bytes, sum) in lanes.iter_mut().zip(sums) {
                        if bytes.len() >= CHECK {
                            bytes[..4].copy_from_slice(&sum.to_be_bytes());
                            scramble(bytes);
                        }
                    }
                }
            }
            Self::Aes(key) => {
                for datagram in datagrams.chunks_mut(size) {
                    encrypt(key, &mut datagram[header..]);
                }
            }
        }
    }

    /// Opens datagrams of equal size (the last may be shorter) in place, and gives the segments of each that is genuine
    /// to `each`.
    pub(super) fn open(
        &self,
        datagrams: &mut [u8],
        size: usize,
        header: usize,
        mut each: impl FnMut(&[u8]),
    ) {
        match self {
            Self::Scramble => {
                for four in datagrams.chunks_mut(size.max(1) * LANES) {
                    let mut lanes = lanes(four, size.max(1), header);
                    for bytes in &mut lanes {
                        unscramble(bytes);
                    }
                    let sums = checksums(&lanes);
                    for (bytes, sum) in lanes.iter().zip(sums) {
                        if let Some(segments) = checked(bytes, sum) {
                            each(segments);
                        }
                    }
                }
            }
            Self::Aes(key) => {
                for datagram in datagrams.chunks_mut(size.max(1)) {
                    if let Some(segments) =
                        datagram.get_mut(header..).and_then(|it| decrypt(key, it))
                    {
                        each(segments);
                    }
                }
            }
        }
    }
}

fn encrypt(key: &LessSafeKey, bytes: &mut [u8]) {
    let mut nonce = [0; NONCE_LEN];
    fill_random(&mut nonce);
    let (head, rest) = bytes.split_at_mut(NONCE_LEN);
    head.copy_from_slice(&nonce);
    let (segments, tag) = rest.split_at_mut(rest.len() - TAG);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let sealed = key
        .seal_in_place_separate_tag(nonce, Aad::empty(), segments)
        .expect("a datagram is far below the limit of the cipher");
    tag.copy_from_slice(sealed.as_ref());
}

/// The seed is one key for all connections of a configuration, so nonces have to be random and not counted.
fn fill_random(nonce: &mut [u8; NONCE_LEN]) {
    aws_lc_rs::rand::fill(nonce).expect("the system has random numbers");
}

fn decrypt<'a>(key: &LessSafeKey, bytes: &'a mut [u8]) -> Option<&'a [u8]> {
    let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
    let nonce = Nonce::assume_unique_for_key(*nonce);
    key.open_in_place(nonce, Aad::empty(), sealed).ok().map(|segments| &*segments)
}

/// The datagrams without their headers; empty ones where there are fewer than [`LANES`].
fn lanes(four: &mut [u8], size: usize, header: usize) -> [&mut [u8]; LANES] {
    let mut datagrams = four.chunks_mut(size);
    std::array::from_fn(|_| {
        datagrams.next().and_then(|datagram| datagram.get_mut(header..)).unwrap_or_default()
    })
}

fn checked(bytes: &[u8], sum: u32) -> Option<&[u8]> {
    let (stored, rest) = bytes.split_first_chunk::<4>()?;
    let (length, segments) = rest.split_first_chunk::<2>()?;
    (u32::from_be_bytes(*stored) == sum
        && usize::from(u16::from_be_bytes(*length)) == segments.len())
    .then_some(segments)
}

/// FNV-1a of each lane after its first four bytes.
fn checksums(lanes: &[&mut [u8]; LANES]) -> [u32; LANES] {
    let rests: [&[u8]; LANES] =
        std::array::from_fn(|lane| lanes[lane].get(4..).unwrap_or_default());
    let common = rests.iter().map(|rest| rest.len()).min().unwrap_or(0);
    let mut sums = [0x811C_9DC5; LANES];
    let [a, b, c, d] = rests.map(|rest| &rest[..common]);
    for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
        for (sum, byte) in sums.iter_mut().zip([a, b, c, d]) {
            *sum = fnv(*sum, *byte);
        }
    }
    for (sum, rest) in sums.iter_mut().zip(rests) {
        *sum = rest[common..].iter().fold(*sum, |sum, byte| fnv(sum, *byte));
    }
    sums
}

fn fnv(sum: u32, byte: u8) -> u32 {
    (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}

/// `x[i] ^= x[i - 4]`, from the front.
fn scramble(bytes: &mut [u8]) {
    let mut before = [0; 4];
    let (words, rest) = bytes.as_chunks_mut::<4>();
    for word in words {
        before = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(before)).to_ne_bytes();
        *word = before;
    }
    for (byte, before) in rest.iter_mut().zip(before) {
        *byte ^= before;
    }
}

/// `x[i] ^= x[i - 4]`, from the back.
fn unscramble(bytes: &mut [u8]) {
    let mut before = [0; 4];
    let (words, rest) = bytes.as_chunks_mut::<4>();
    for word in words {
        let sealed = *word;
        *word = (u32::from_ne_bytes(sealed) ^ u32::from_ne_bytes(before)).to_ne_bytes();
        before = sealed;
    }
    for (byte, before) in rest.iter_mut().zip(before) {
        *byte ^= before;
    }
}
