use rosn_config::checked::{PacketHeader, Secret};

use super::*;

const HEADERS: [PacketHeader; 6] = [
    PacketHeader::None,
    PacketHeader::Srtp,
    PacketHeader::Utp,
    PacketHeader::WechatVideo,
    PacketHeader::Dtls,
    PacketHeader::Wireguard,
];

fn envelope(security: DatagramSecurity, key: &str, header: PacketHeader) -> Envelope {
    Envelope::new(&QuicSettings { security, key: Secret(key.to_owned()), header })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// Datagrams that v2ray 4.34 has sent.
#[test]
fn v2rays_datagrams_are_opened() {
    use DatagramSecurity::{Aes128Gcm, Auto};
    let (aes, srtp, wireguard, wechat, bare) = (
        "1c02616a70aaaf99293485dd1f96517bec3b9d6bb37b10d366648d254669bee8e5e1f28d070d93a6a519ddfc754d21568f63bf52419e65526a4837d076b28480",
        "b5e8777fadd69106a1c969a54c1d480674510ad7971a1d36cf645cf0bdecaae110df32ffd43c7da2c9fb8dde7bf8dc4a8a2d659634b87920c6d476aa5ae873674f50ef19",
        "040000000794bcf20e3c48853d8483838b2c6f3e0506026ff520aa7f84931066768762091e12f3c0479a8127545cd2f49405d9795862b78bd0bd383c540cae9efb25a06a",
        "a10800006add00101118302230f63cf7d553e31dfff7037937c4aa6ef406e35ff29d70a0970b38c4087dc824942d9308921fb00b0f2146f5e00697303917e37d5bfaba7effa1f2782ab77c1c42747777acedbceb74de1a2fe8e2681a513411c8af",
        "0e832d9922279eddbd3648599c490af00612744e0491296e0f5719af91020be20ee621b7ebda3fc692323a6791b74ed9035ecdb5f8f7730fb15e08eef1ec00c85e",
    );
    for (datagram, security, key, header) in [
        (aes, Aes128Gcm, "interop-key", PacketHeader::None),
        (srtp, Aes128Gcm, "interop-key", PacketHeader::Srtp),
        (wireguard, Aes128Gcm, "interop-key", PacketHeader::Wireguard),
        (wechat, Aes128Gcm, "interop-key", PacketHeader::WechatVideo),
        // Without any settings the security is v2ray's "auto", with no key.
        (bare, if aes_is_fast() { Auto } else { Aes128Gcm }, "", PacketHeader::None),
    ] {
        let envelope = envelope(security, key, header);
        let mut datagram = bytes(datagram);
        let length = datagram.len();
        let (opened, _) = envelope.open(&mut datagram, length);
        assert_eq!(opened, length - envelope.overhead(), "{header:?}");
        // The fixed bit of every packet (RFC 9000 17).
        assert_eq!(datagram[0] & 0x40, 0x40, "{header:?}");
    }
}

#[test]
fn the_keys_are_v2rays() {
    let aes = envelope(DatagramSecurity::Aes128Gcm, "k", PacketHeader::None);
    let hash = digest::digest(&digest::SHA256, b"kv2ray-quic-salt");
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &hash.as_ref()[..16]).unwrap());
    let mut sealer = aes.sealer();
    let sealed = aes.seal(&mut sealer, b"packet", 6).unwrap();
    let (nonce, text) = sealed.split_at(12);
    let mut text = text.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
    assert_eq!(key.open_in_place(nonce, Aad::empty(), &mut text).unwrap(), b"packet");
}

#[test]
fn batches_come_back_whole() {
    use DatagramSecurity::{Aes128Gcm, Auto, ChaCha20Poly1305, None};
    let packets: Vec<u8> = (0..=255).cycle().take(3 * 1200 + 77).collect();
    for security in [None, Aes128Gcm, ChaCha20Poly1305, Auto] {
        for header in HEADERS {
            let envelope = envelope(security, "key", header);
            let mut sealer = envelope.sealer();
            for _ in 0..3 {
                let mut sealed = envelope.seal(&mut sealer, &packets, 1200).unwrap().to_vec();
                assert_eq!(sealed.len(), packets.len() + 4 * envelope.overhead());
                let (length, stride) = envelope.open(&mut sealed, 1200 + envelope.overhead());
                assert_eq!(stride, 1200);
                assert!(sealed[..length] == packets, "{security:?} {header:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_opened_is_left_out() {
    let envelope = envelope(DatagramSecurity::Aes128Gcm, "key", PacketHeader::Utp);
    let mut sealer = envelope.sealer();
    let packets = [[1; 100], [2; 100], [3; 100]].concat();
    let mut sealed = envelope.seal(&mut sealer, &packets, 100).unwrap().to_vec();
    let stride = 100 + envelope.overhead();
    sealed[stride + 40] ^= 1;
    let (length, stride) = envelope.open(&mut sealed, stride);
    assert_eq!((length, stride), (200, 100));
    assert_eq!(sealed[..200], [[1; 100], [3; 100]].concat());
}

#[test]
fn garbage_of_any_length_is_left_out() {
    for security in [DatagramSecurity::None, DatagramSecurity::ChaCha20Poly1305] {
        for header in HEADERS {
            let envelope = envelope(security, "", header);
            for length in 0..200 {
                for stride in [0, 1, 50, length, 2000] {
                    let mut garbage = vec![0xA5; length];
                    let (opened, _) = envelope.open(&mut garbage, stride);
                    assert!(opened <= length);
                    if security != DatagramSecurity::None {
                        assert_eq!(opened, 0);
                    }
                }
            }
        }
    }
}

#[test]
fn another_key_or_cipher_opens_nothing() {
    use DatagramSecurity::{Aes128Gcm, ChaCha20Poly1305};
    let ours = envelope(Aes128Gcm, "ours", PacketHeader::None);
    for theirs in [
        envelope(Aes128Gcm, "theirs", PacketHeader::None),
        envelope(ChaCha20Poly1305, "ours", PacketHeader::None),
        envelope(Aes128Gcm, "ours", PacketHeader::Srtp),
    ] {
        let mut sealed = theirs.seal(&mut theirs.sealer(), &[7; 99], 99).unwrap().to_vec();
        let length = sealed.len();
        assert_eq!(ours.open(&mut sealed, length).0, 0);
    }
}

#[test]
fn nothing_of_a_key_is_shown() {
    let envelope = envelope(DatagramSecurity::Aes128Gcm, "very secret", PacketHeader::None);
    assert!(!format!("{envelope:?}").contains("secret"));
}
