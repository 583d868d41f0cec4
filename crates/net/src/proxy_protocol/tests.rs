use super::*;

const SOURCE: &str = "192.0.2.1:5000";
const V6: &str = "[2001:db8::1]:65535";

fn ip(text: &str) -> PeerAddr {
    PeerAddr::Ip(text.parse().unwrap())
}

fn unix(path: &str) -> PeerAddr {
    PeerAddr::Unix(Some(std::path::Path::new(path).into()))
}

fn header(source: PeerAddr, destination: PeerAddr) -> Header {
    Header { addresses: Some((source, destination)), extensions: Vec::new() }
}

fn complete(bytes: &[u8]) -> (Header, usize) {
    match parse(bytes) {
        Ok(Progress::Complete { header, len }) => (header, len),
        other => panic!("{other:?}"),
    }
}

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, body].concat()
}

#[test]
fn v1_lines() {
    for (line, addresses) in [
        ("PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n", Some((SOURCE, "192.0.2.2:80"))),
        (
            "PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
            Some(("0.0.0.0:0", "255.255.255.255:65535")),
        ),
        ("PROXY TCP6 2001:db8::1 ::1 65535 1\r\n", Some((V6, "[::1]:1"))),
        ("PROXY TCP6 ::ffff:192.0.2.1 ::1 5000 1\r\n", Some((SOURCE, "[::1]:1"))),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN 1 2 anything at all\r\n", None),
        // The longest that the specification shows: 107 bytes.
        (
            "PROXY UNKNOWN ffff:f...f:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:fff:fff:f:f 65535 65535\r\n",
            None,
        ),
    ] {
        let bytes = [line.as_bytes(), b"GET / HTTP/1.1\r\n"].concat();
        let (found, len) = complete(&bytes);
        assert_eq!(len, line.len());
        assert_eq!(found.addresses, addresses.map(|(a, b)| (ip(a), ip(b))), "{line}");
    }
}

#[test]
fn v1_lines_that_are_none() {
    for line in [
        "PROXY TCP4 192.0.2.1 192.0.2.2 5000\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80 1\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 5000 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 5000 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 05000 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +500 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 5000 \r\n",
        "PROXY TCP4 192.0.2.01 192.0.2.2 5000 80\r\n",
        "PROXY TCP4 ::1 ::1 5000 80\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 5000 80\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 5000 80\r\n",
        "PROXY \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\n",
        "PROXY TCP4 192.0.2.1\r192.0.2.2 5000 80\r\n",
        "PROXY TCP4 192.0.2.\u{661} 192.0.2.2 5000 80\r\n",
        "PROXY UNKNOWN\r ",
    ] {
        let parsed = parse(line.as_bytes());
        assert!(matches!(parsed, Err(ProxyProtocolError::Malformed(_))), "{line:?} {parsed:?}");
    }
    for other in ["GET / HTTP/1.1\r\n", "PROXYTCP4", "proxy TCP4", "\r\n\r\nGET", "\0"] {
        let parsed = parse(other.as_bytes());
        assert!(matches!(parsed, Err(ProxyProtocolError::Missing)), "{other:?} {parsed:?}");
    }
    let long = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert!(matches!(parse(long.as_bytes()), Err(ProxyProtocolError::TooLong { limit: 107 })));
    assert_eq!(parse(&long.as_bytes()[..106]).unwrap(), Progress::Partial);
}

#[test]
fn v2_headers_byte_by_byte() {
    let body = [192, 0, 2, 1, 192, 0, 2, 2, 0x13, 0x88, 0, 80];
    let (found, len) = complete(&[&v2(0x21, 0x11, &body)[..], b"more"].concat());
    assert_eq!((found, len), (header(ip(SOURCE), ip("192.0.2.2:80")), 28));
    // UDP over IPv4: the addresses are the same.
    assert_eq!(complete(&v2(0x21, 0x12, &body)).0, header(ip(SOURCE), ip("192.0.2.2:80")));
    // Neither LOCAL nor UNSPEC says anything, whatever follows.
    for (command, family) in [(0x20, 0x11), (0x20, 0x00), (0x21, 0x00), (0x21, 0x10)] {
        assert_eq!(complete(&v2(command, family, &body)), (Header::default(), 28));
    }
    let mut paths = [0; 216];
    paths[..4].copy_from_slice(b"/a.s");
    paths[108..113].copy_from_slice(b"\0abst");
    assert_eq!(complete(&v2(0x21, 0x31, &paths)).0, header(unix("/a.s"), unix("\0abst")));
    let nobody = header(PeerAddr::Unix(None), PeerAddr::Unix(None));
    assert_eq!(complete(&v2(0x21, 0x31, &[0; 216])).0, nobody);
}

#[test]
fn v2_headers_that_are_none() {
    let body = [0; 12];
    let cut = [&body[..], &[1, 0, 5, b'h']].concat();
    let short_sum = [&body[..], &[3, 0, 1, 0]].concat();
    let wrong_sum = [&body[..], &[3, 0, 4, 1, 2, 3, 4]].concat();
    for bytes in [
        v2(0x11, 0x11, &body),
        v2(0x22, 0x11, &body),
        v2(0x21, 0x41, &body),
        v2(0x21, 0x13, &body),
        v2(0x21, 0x21, &body),
        v2(0x21, 0x11, &body[1..]),
        v2(0x21, 0x31, &[0; 215]),
        v2(0x21, 0x11, &[&body[..], &[4]].concat()),
        v2(0x21, 0x11, &cut),
        v2(0x21, 0x11, &short_sum),
        v2(0x21, 0x11, &wrong_sum),
    ] {
        let parsed = parse(&bytes);
        assert!(matches!(parsed, Err(ProxyProtocolError::Malformed(_))), "{bytes:?} {parsed:?}");
    }
    let long = v2(0x20, 0, &vec![0; MAX_V2]);
    assert!(matches!(parse(&long[..16]), Err(ProxyProtocolError::TooLong { limit: MAX_V2 })));
    assert!(matches!(parse(&v2(0x20, 0, &vec![0; MAX_V2 - 16])), Ok(Progress::Complete { .. })));
}

fn samples() -> Vec<(Version, Header)> {
    let long = ip("[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
    let mut extended = header(ip(V6), ip("[::1]:443"));
    extended.extensions = vec![
        Extension { kind: Extension::AUTHORITY, value: (*b"example.org").into() },
        Extension::checksum(),
        Extension { kind: 0xE0, value: [].into() },
    ];
    vec![
        (Version::V1, Header::default()),
        (Version::V1, header(ip(SOURCE), ip("192.0.2.2:80"))),
        (Version::V1, header(long.clone(), long.clone())),
        (Version::V1, header(ip(SOURCE), ip("[::1]:443"))),
        (Version::V2, Header::default()),
        (Version::V2, header(ip(SOURCE), ip("192.0.2.2:80"))),
        (Version::V2, header(ip(SOURCE), long)),
        (Version::V2, header(unix("/run/a.sock"), PeerAddr::Unix(None))),
        (Version::V2, extended),
    ]
}

#[test]
fn what_is_written_is_read() {
    for (version, said) in samples() {
        let bytes = write(&said, version);
        let (mut found, len) = complete(&[&bytes[..], b"x"].concat());
        assert_eq!(len, bytes.len());
        for (found, said) in found.extensions.iter_mut().zip(&said.extensions) {
            if found.kind == Extension::CRC32C {
                assert_ne!(found, said, "a checksum");
                found.value.clone_from(&said.value);
            }
        }
        assert_eq!(found, said);
        // Every part of it is a part, and nothing less.
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]).unwrap(), Progress::Partial, "{end} of {bytes:?}");
        }
    }
}

#[test]
fn what_cannot_be_said_stays_unsaid() {
    let said = header(unix("/a"), unix("/b"));
    assert_eq!(write(&said, Version::V1), b"PROXY UNKNOWN\r\n");
    let mixed = header(ip(SOURCE), unix("/b"));
    assert_eq!(complete(&write(&mixed, Version::V2)).0, Header::default());
    let path = "x".repeat(109);
    let long = header(unix(&path), unix("/b"));
    assert_eq!(complete(&write(&long, Version::V2)).0, header(PeerAddr::Unix(None), unix("/b")));
    let mut large = header(ip(SOURCE), ip(SOURCE));
    large.extensions = vec![Extension { kind: 1, value: vec![0; 3000].into() }; 3];
    assert_eq!(complete(&write(&large, Version::V2)).0.extensions.len(), 1);
}

#[test]
fn no_bytes_do_harm() {
    let mut random = fastrand::Rng::with_seed(7);
    let samples: Vec<_> =
        samples().iter().map(|(version, header)| write(header, *version)).collect();
    for _ in 0..50_000 {
        let mut bytes = samples[random.usize(..samples.len())].clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            match random.u8(..3) {
                0 => bytes[at] = random.u8(..),
                1 => bytes.insert(at, random.u8(..)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Ok(Progress::Complete { header, len }) = parse(&bytes) {
            assert!(len <= bytes.len());
            // What was read can be written, and says the same.
            let again = write(&header, Version::V2);
            assert_eq!(complete(&again).0.addresses, header.addresses);
        }
    }
}
