use super::super::segment::{Body, Segment, Segments};
use super::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn open(seal: &Seal, datagram: &[u8], header: usize) -> Option<Vec<u8>> {
    let mut opened = None;
    let mut datagram = datagram.to_vec();
    let size = datagram.len();
    seal.open(&mut datagram, size, header, |segments| opened = Some(segments.to_vec()));
    opened
}

fn sealed(seal: &Seal, header: usize, segments: &[u8]) -> Vec<u8> {
    let mut out = vec![0x55; header + seal.before()];
    out.extend_from_slice(segments);
    out.resize(out.len() + seal.after(), 0);
    let size = out.len();
    seal.seal(&mut out, size, header);
    out
}

const HELLO: &str =
    "4beaee814bcb03144acb03144acb03144acb03144acb031b22ae6f774d8e1b052ce0687543921c";

#[test]
fn scrambled_datagrams_of_v2ray_are_read_and_written() {
    let datagram = hex(HELLO);
    let plain = open(&Seal::Scramble, &datagram, 0).unwrap();
    let expected = Segment {
        conversation: 60821,
        close: false,
        body: Body::Data { timestamp: 0, number: 0, sending_next: 0, payload: b"hello transport" },
    };
    assert_eq!(Segments(&plain).collect::<Vec<_>>(), [expected]);
    assert_eq!(sealed(&Seal::Scramble, 0, &plain), datagram);

    let answer = hex("ebb4350ceba1d899eba1d899edb0d899edb0d899edb0d999edb0d9");
    let plain = open(&Seal::Scramble, &answer, 0).unwrap();
    let segment = Segments(&plain).next().unwrap();
    let Body::Ack { window: 1553, receiving_next: 0, timestamp: 0, numbers } = segment.body else {
        panic!("{segment:?}")
    };
    assert_eq!(numbers.iter().collect::<Vec<_>>(), [0]);
    assert_eq!(sealed(&Seal::Scramble, 0, &plain), answer);
}

#[test]
fn encrypted_datagrams_of_v2ray_are_read() {
    for (seed, datagram) in [
        (
            "interop-seed",
            "f32a93e7c5c5574bd7270955097b8059db633670da1799941b56082602a93d501c04e396a6fb96f9dd8eb2533f215d001d22c624c06d31fcd5cc6f989b",
        ),
        (
            "",
            "1e9ca743c1b4dbbb9d6ea9d2403560ab92784f366542a385dc46e79dc97336cdf045bf4600e380e7cfe33a9f986e7e18938977fa521c26c22193488629",
        ),
    ] {
        let plain = open(&Seal::new(Some(seed)), &hex(datagram), 0).unwrap();
        let segment = Segments(&plain).next().unwrap();
        assert!(
            matches!(segment.body, Body::Data { number: 0, payload: b"hello transport", .. }),
            "{segment:?}"
        );
        assert_eq!(open(&Seal::new(Some("other")), &hex(datagram), 0), None);
    }
}

#[test]
fn headers_are_skipped() {
    let dtls = hex(
        "17fefdbb660000000000000011d43a9ec0d41bd6f7d51bd6f7d51bd6f7d51bd6f7d51bd6f8bd7eba94d25ecee6b330bd96dc42c9",
    );
    let plain = open(&Seal::Scramble, &dtls, 13).unwrap();
    assert!(matches!(
        Segments(&plain).next().unwrap().body,
        Body::Data { payload: b"hello transport", .. }
    ));
    assert_eq!(open(&Seal::Scramble, &dtls, 4), None);
}

#[test]
fn what_was_sealed_is_opened() {
    for seal in [Seal::Scramble, Seal::new(Some("")), Seal::new(Some("a seed"))] {
        for length in [0, 1, 2, 3, 4, 5, 16, 1350] {
            let segments: Vec<u8> = (0..length).map(|_| fastrand::u8(..)).collect();
            let datagram = sealed(&seal, 13, &segments);
            assert_eq!(datagram[..13], [0x55; 13], "the packet header is left alone");
            assert_eq!(open(&seal, &datagram, 13), Some(segments), "{seal:?} {length}");
        }
    }
}

#[test]
fn batches_are_as_good_as_datagrams() {
    for seal in [Seal::Scramble, Seal::new(Some("seed"))] {
        for count in [1, 2, 3, 4, 5, 8, 11] {
            let size = 4 + seal.before() + 100 + seal.after();
            let mut batch: Vec<u8> = (0..count * size - 33).map(|at| at as u8).collect();
            let plain = batch.clone();
            seal.seal(&mut batch, size, 4);
            let mut opened = Vec::new();
            seal.open(&mut batch, size, 4, |segments| opened.push(segments.to_vec()));
            let expected: Vec<_> = plain
                .chunks(size)
                .map(|it| it[4 + seal.before()..it.len() - seal.after()].to_vec())
                .collect();
            assert_eq!(opened, expected);
        }
    }
}

#[test]
fn damaged_short_and_random_datagrams_are_dropped() {
    for seal in [Seal::Scramble, Seal::new(Some("seed"))] {
        let whole = sealed(&seal, 4, b"some segments");
        for length in 0..whole.len() {
            assert_eq!(open(&seal, &whole[..length], 4), None, "{length}");
        }
        for at in 4..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << fastrand::u32(..8);
            assert_eq!(open(&seal, &damaged, 4), None, "{at}");
        }
        let mut longer = whole;
        longer.push(0);
        assert_eq!(open(&seal, &longer, 4), None);
        for length in 0..200 {
            let random: Vec<u8> = (0..length).map(|_| fastrand::u8(..)).collect();
            assert_eq!(open(&seal, &random, 4), None);
        }
    }
}
