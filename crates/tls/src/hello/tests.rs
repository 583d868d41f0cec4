use proptest::prelude::*;
use tokio::io::AsyncReadExt as _;

use super::*;
use crate::{ClientOptions, Connector};

/// What a client really says first.
fn hello(name: &str, alpn: &[&str]) -> Vec<u8> {
    let alpn = alpn.iter().map(|name| (*name).to_owned()).collect();
    let options = ClientOptions { allow_insecure: true, alpn, ..ClientOptions::default() };
    let connector = Connector::new(&options).unwrap();
    let (near, mut far) = tokio::io::duplex(1 << 16);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut bytes = vec![0; 5];
        let read = async {
            far.read_exact(&mut bytes).await.unwrap();
            let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
            bytes.resize(5 + length, 0);
            far.read_exact(&mut bytes[5..]).await.unwrap();
        };
        tokio::select! {
            _ = connector.connect(name, near) => panic!("nobody answers"),
            () = read => {}
        }
        bytes
    })
}

/// The same message in records of so many bytes.
fn in_records(hello: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for fragment in hello[5..].chunks(size) {
        bytes.extend_from_slice(&[22, 3, 1]);
        bytes.extend_from_slice(&u16::try_from(fragment.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(fragment);
    }
    bytes
}

/// A message with these extensions, in one record.
fn made(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0]);
    let mut all = Vec::new();
    for (kind, extension) in extensions {
        all.extend_from_slice(&kind.to_be_bytes());
        all.extend_from_slice(&u16::try_from(extension.len()).unwrap().to_be_bytes());
        all.extend_from_slice(extension);
    }
    body.extend_from_slice(&u16::try_from(all.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&all);
    record(&message_of(&body))
}

fn message_of(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1], &length[1..], body].concat()
}

fn record(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[22, 3, 1], &length[..], content].concat()
}

fn name(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&(length + 3).to_be_bytes()[..], &[0], &length.to_be_bytes(), text].concat()
}

#[test]
fn a_real_hello_is_read() {
    let bytes = hello("a.test", &["h2", "http/1.1"]);
    let hello = ClientHello::parse(&bytes).unwrap().unwrap();
    assert_eq!(hello.server_name.as_deref(), Some("a.test"));
    assert_eq!(hello.alpn, [&b"h2"[..], b"http/1.1"]);
    assert_eq!(hello.versions, [0x0304, 0x0303]);
    // What follows does not matter.
    let longer = [&bytes[..], b"more"].concat();
    assert_eq!(ClientHello::parse(&longer), Ok(Some(hello)));
}

#[test]
fn one_without_names_is_read() {
    let hello = ClientHello::parse(&hello("127.0.0.1", &[])).unwrap().unwrap();
    assert_eq!((hello.server_name, hello.alpn), (None, Vec::<Vec<u8>>::new()));
    let empty = ClientHello::parse(&made(&[])).unwrap().unwrap();
    assert_eq!(empty, ClientHello { versions: vec![0x0303], ..ClientHello::default() });
}

#[test]
fn every_beginning_of_it_needs_more() {
    let bytes = hello("a.test", &["h2"]);
    for bytes in [in_records(&bytes, 100), in_records(&bytes, 1), bytes] {
        let whole = ClientHello::parse(&bytes).unwrap().unwrap();
        for length in 0..bytes.len() {
            assert_eq!(ClientHello::parse(&bytes[..length]), Ok(None), "{length}");
        }
        assert_eq!(whole.server_name.as_deref(), Some("a.test"));
    }
}

#[test]
fn what_is_not_tls_is_known_at_once() {
    for bytes in [
        &b"G"[..],
        b"GET / HTTP/1.1\r\n",
        b"PRI * HTTP/2.0",
        b"\x00",
        b"\x16\x02",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x15\x03\x01\x00\x02",
        b"SSH-2.0-",
    ] {
        assert_eq!(ClientHello::parse(bytes), Err(HelloError::NotTls), "{bytes:?}");
    }
    let other = b"\x16\x03\x01\x00\x04\x02";
    assert!(matches!(ClientHello::parse(other), Err(HelloError::Malformed(_))));
    // In the middle of it.
    let bytes = in_records(&hello("a.test", &[]), 64);
    let mut wrong = bytes[..69].to_vec();
    wrong.push(23);
    assert!(matches!(ClientHello::parse(&wrong), Err(HelloError::Malformed(_))));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let (one, other) = (name(b"a.test"), name(b"b.test"));
    let two_names = [&[0, 18], &one[2..], &other[2..]].concat();
    for extensions in [
        &[(0, &*one), (0, &*other)][..],
        &[(0, &*two_names)],
        &[(0, &*name(b""))],
        &[(0, &*name(b"a b"))],
        &[(0, &*name("é.test".as_bytes()))],
        &[(0, &*name(b"a\0.test"))],
        &[(0, &*name(b"../../etc"))],
        &[(0, b"\x00\x06\x00\x00\x09a")],
        &[(16, b"\x00\x03\x02h2\x00")],
        &[(16, b"\x00\x01\x00")],
        &[(43, b"\x03\x03\x04\x03")],
        &[(43, b"\x00")],
    ] {
        let read = ClientHello::parse(&made(extensions));
        assert!(matches!(read, Err(HelloError::Malformed(_))), "{extensions:?} {read:?}");
    }
    let mut trailing = made(&[])[5..].to_vec();
    trailing.push(0);
    trailing[3] += 1;
    assert!(matches!(ClientHello::parse(&record(&trailing)), Err(HelloError::Malformed(_))));
}

#[test]
fn names_are_in_small_letters_and_without_the_last_dot() {
    let read = ClientHello::parse(&made(&[(0, &name(b"A.Test."))])).unwrap().unwrap();
    assert_eq!(read.server_name.as_deref(), Some("a.test"));
    // Another kind of name, of which there is none yet.
    let unknown = ClientHello::parse(&made(&[(0, b"\x00\x04\x07\x00\x01x")])).unwrap().unwrap();
    assert_eq!(unknown.server_name, None);
}

#[test]
fn what_is_looked_at_is_bounded() {
    let claimed = [&[22, 3, 1, 0, 4, 1][..], &[1, 0, 0]].concat();
    assert_eq!(ClientHello::parse(&claimed), Err(HelloError::TooLong));
    let large = made(&[(21, &[0; 9_000]), (0, &name(b"a.test"))]);
    assert!(ClientHello::parse(&large).unwrap().is_some());
    let tiny = in_records(&large, 1);
    assert_eq!(ClientHello::parse(&tiny[..ClientHello::LIMIT - 1]), Ok(None));
    assert_eq!(ClientHello::parse(&tiny), Err(HelloError::TooLong));
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = ClientHello::parse(&bytes);
        let _ = ClientHello::parse(&record(&message_of(&bytes)));
    }

    /// Changed bytes are another hello, or none; cut ones never are an error that more bytes would take back.
    #[test]
    fn damage_is_survived(
        place in 0_usize..200, byte in any::<u8>(), cut in 0_usize..260, size in 1_usize..80,
    ) {
        let versions = b"\x04\x03\x04\x03\x03";
        let mut bytes =
            made(&[(0, &name(b"a.test")), (16, b"\x00\x0c\x02h2\x08http/1.1"), (43, versions)]);
        let place = place % bytes.len();
        bytes[place] = byte;
        let bytes = in_records(&bytes, size);
        let whole = ClientHello::parse(&bytes);
        let begun = ClientHello::parse(&bytes[..cut.min(bytes.len())]);
        prop_assert!(begun == Ok(None) || begun == whole, "{begun:?} {whole:?}");
    }
}
