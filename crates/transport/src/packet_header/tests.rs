use super::*;

fn next(header: &mut Header) -> Vec<u8> {
    let mut out = vec![0xEE; header.len() + 1];
    header.put(&mut out);
    assert_eq!(out.pop(), Some(0xEE), "no byte beyond the header is touched");
    out
}

#[test]
fn headers_are_v2rays() {
    // From captures of v2ray 4.34.
    let mut srtp = Header(Kind::Srtp(0x80CC));
    assert_eq!(next(&mut srtp), [0xB5, 0xE8, 0x80, 0xCD]);
    assert_eq!(next(&mut srtp), [0xB5, 0xE8, 0x80, 0xCE]);
    let mut utp = Header(Kind::Utp(0x1234));
    assert_eq!(next(&mut utp), [0x12, 0x34, 1, 0]);
    assert_eq!(next(&mut utp), [0x12, 0x34, 1, 0]);
    let mut wechat = Header(Kind::WechatVideo(0xC39C));
    assert_eq!(
        next(&mut wechat),
        [0xA1, 8, 0, 0, 0xC3, 0x9D, 0, 0x10, 0x11, 0x18, 0x30, 0x22, 0x30]
    );
    assert_eq!(next(&mut wechat)[5], 0x9E);
    assert_eq!(next(&mut Header(Kind::Wireguard)), [4, 0, 0, 0]);
    assert!(next(&mut Header(Kind::None)).is_empty());
}

#[test]
fn the_length_of_dtls_goes_up_and_down() {
    let mut header = Header(Kind::Dtls(Dtls { epoch: 0xBB66, sequence: 0, length: 17 }));
    let first = next(&mut header);
    assert_eq!(first, [0x17, 0xFE, 0xFD, 0xBB, 0x66, 0, 0, 0, 0, 0, 0, 0, 17]);
    let rest: Vec<_> =
        (0..8).map(|_| next(&mut header)).map(|bytes| (bytes[10], bytes[12])).collect();
    assert_eq!(rest, [(1, 34), (2, 51), (3, 68), (4, 85), (5, 52), (6, 69), (7, 86), (8, 53)]);
}

#[test]
fn counters_wrap() {
    let mut srtp = Header(Kind::Srtp(u16::MAX));
    assert_eq!(next(&mut srtp)[2..], [0, 0]);
    let mut dtls = Header(Kind::Dtls(Dtls { epoch: 0, sequence: u32::MAX, length: 17 }));
    next(&mut dtls);
    assert_eq!(next(&mut dtls)[7..11], [0; 4]);
}

#[test]
fn every_kind_has_its_length() {
    let lengths = [
        (PacketHeader::None, 0),
        (PacketHeader::Srtp, 4),
        (PacketHeader::Utp, 4),
        (PacketHeader::WechatVideo, 13),
        (PacketHeader::Dtls, 13),
        (PacketHeader::Wireguard, 4),
    ];
    for (kind, length) in lengths {
        let mut header = Header::new(kind);
        assert_eq!(header.len(), length);
        for _ in 0..1000 {
            next(&mut header);
        }
    }
}
