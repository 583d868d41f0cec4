//! Bodies: what is accepted, what is refused, and what is written.

use rosn_h1::BodyError::*;
use rosn_h1::{BodyDecoder, BodyEncoder, BodyError, FieldError, Framing, Limits};

/// Content, trailers and what was not consumed.
type Outcome = Result<(String, String, String), BodyError>;

/// Decodes `text` as one piece; the connection is closed behind it.
fn decode_with(text: &str, framing: Framing, limits: &Limits) -> Outcome {
    let mut bytes = text.as_bytes().to_vec();
    let mut decoder = BodyDecoder::new(framing, limits);
    let decoded = decoder.decode(&mut bytes)?;
    assert_eq!(decoded.end, decoder.is_end());
    assert!(decoded.data.end <= decoded.consumed);
    if !decoded.end {
        assert_eq!(decoded.consumed, bytes.len());
        decoder.eof(false)?;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&bytes[decoded.data]), text(decoder.trailers()), text(&bytes[decoded.consumed..])))
}

fn chunked(text: &str) -> Outcome {
    decode_with(text, Framing::Chunked, &Limits::default())
}

#[test]
fn chunked_bodies_are_decoded() {
    #[rustfmt::skip]
    let rows = [
        ("0\r\n\r\n", "", "", "", "9112 7.1"),
        ("5\r\nhello\r\n0\r\n\r\nGET /", "hello", "", "GET /", "9112 7.1"),
        ("5\r\nhello\r\n6\r\n world\r\n1\r\n!\r\n0\r\n\r\n", "hello world!", "", "", "9112 7.1"),
        ("A\r\n0123456789\r\n00a\r\n0123456789\r\n000\r\n\r\n", "01234567890123456789", "", "", "9112 7.1"),
        ("1;a\r\nx\r\n0;b\r\n\r\n", "x", "", "", "9112 7.1.1"),
        ("1;a=b;c=\"d;\\\"\t\u{e9}\";e\r\nx\r\n0\r\n\r\n", "x", "", "", "9112 7.1.1"),
        ("1 \t; a = b\t;c = \"\" ;d\r\nx\r\n0\r\n\r\n", "x", "", "", "9112 7.1.1"),
        ("0\r\nA: b\r\nc:d\r\n\r\nrest", "", "A: b\r\nc:d\r\n", "rest", "9112 7.1.2"),
        ("0\r\nContent-Length: 5\r\nA: b\r\nhost: x\r\n\r\n", "", "A: b\r\n", "", "9110 6.5.1"),
        ("0\r\nX-Forwarded-For: 1\r\nIf-Match: a\r\nProxy-A: b\r\nauthorization: c\r\n\r\n", "", "", "", "9110 6.5.1"),
        ("0\r\ngrpc-status: 0\r\nx-forwarded: a\r\nTransfer-Encoding: chunked\r\n\r\n", "", "grpc-status: 0\r\nx-forwarded: a\r\n", "", "9110 6.5.1"),
    ];
    for (text, data, trailers, rest, section) in rows {
        let expected = Ok((data.to_owned(), trailers.to_owned(), rest.to_owned()));
        assert_eq!(chunked(text), expected, "{section}: {text:?}");
    }
}

#[test]
fn broken_chunking_is_refused() {
    #[rustfmt::skip]
    let rows = [
        ("\r\n", ChunkSize, "9112 7.1"),
        ("g\r\n", ChunkSize, "9112 7.1"),
        (";a\r\n", ChunkSize, "9112 7.1"),
        ("+1\r\nx\r\n0\r\n\r\n", ChunkSize, "9112 7.1"),
        ("-1\r\n", ChunkSize, "9112 7.1"),
        ("0x1\r\nx\r\n0\r\n\r\n", ChunkSize, "9112 7.1"),
        (" 1\r\nx\r\n0\r\n\r\n", ChunkSize, "9112 7.1"),
        ("\t1\r\nx\r\n0\r\n\r\n", ChunkSize, "9112 7.1"),
        ("1_0\r\n", ChunkSize, "9112 7.1"),
        ("1,1\r\n", ChunkSize, "9112 7.1"),
        ("1\0\r\n", ChunkSize, "9112 7.1"),
        ("1h\r\n", ChunkSize, "9112 7.1"),
        ("1\u{ff11}\r\n", ChunkSize, "9112 7.1"),
        ("8000000000000000\r\n", ChunkSize, "9112 7.1"),
        ("10000000000000000\r\n", ChunkSize, "9112 7.1"),
        ("ffffffffffffffff1\r\n", ChunkSize, "9112 7.1"),
        ("1 \r\nx\r\n0\r\n\r\n", ChunkExtension, "9112 7.1"),
        ("1 1\r\n", ChunkExtension, "9112 7.1"),
        ("1\nx\r\n0\r\n\r\n", ChunkSize, "9112 2.2"),
        ("1\rx\r\n0\r\n\r\n", ChunkExtension, "9112 2.2"),
        ("1;a\nx\r\n0\r\n\r\n", ChunkExtension, "9112 2.2"),
        ("1;a\rb\r\nx\r\n0\r\n\r\n", ChunkExtension, "9112 2.2"),
        ("1;a=\"\n\"\r\nx\r\n0\r\n\r\n", ChunkExtension, "9112 7.1.1"),
        ("1;a=\"\r\n\"\r\nx\r\n0\r\n\r\n", ChunkExtension, "9112 7.1.1"),
        ("1;a=\"\\\r\n\"\r\nx\r\n0\r\n\r\n", ChunkExtension, "9112 7.1.1"),
        ("1;\r\nx\r\n0\r\n\r\n", ChunkExtension, "9112 7.1.1"),
        ("1;;a\r\nx\r\n0\r\n\r\n", ChunkExtension, "9112 7.1.1"),
        ("1;a=\r\nx\r\n0\r\n\r\n", ChunkExtension, "9112 7.1.1"),
        ("1;a=b=c\r\nx\r\n0\r\n\r\n", ChunkExtension, "9112 7.1.1"),
        ("1;a=\"b\"c\r\nx\r\n0\r\n\r\n", ChunkExtension, "9112 7.1.1"),
        ("1;a b\r\nx\r\n0\r\n\r\n", ChunkExtension, "9112 7.1.1"),
        ("1;a \r\nx\r\n0\r\n\r\n", ChunkExtension, "9112 7.1.1"),
        ("1\r\nxx\r\n0\r\n\r\n", ChunkEnd, "9112 7.1"),
        ("1\r\nx\n0\r\n\r\n", ChunkEnd, "9112 7.1"),
        ("1\r\nx\r0\r\n\r\n", ChunkEnd, "9112 7.1"),
        ("1\r\nx0\r\n\r\n", ChunkEnd, "9112 7.1"),
        ("2\r\nx\r\n0\r\n\r\n", ChunkEnd, "9112 7.1"),
        ("0\r\n\rx", Trailer(FieldError::BareCr), "9112 7.1.2"),
        ("0\r\n\n", Trailer(FieldError::BareLf), "9112 7.1.2"),
        ("0\r\nA: b\n\r\n", Trailer(FieldError::BareLf), "9112 7.1.2"),
        ("0\r\nA: b\rC: d\r\n\r\n", Trailer(FieldError::BareCr), "9112 7.1.2"),
        ("0\r\nA: \0\r\n\r\n", Trailer(FieldError::Control), "9110 5.5"),
        ("0\r\nA : b\r\n\r\n", Trailer(FieldError::SpaceBeforeColon), "9112 5.1"),
        ("0\r\nA: b\r\n c\r\n\r\n", Trailer(FieldError::Folded), "9112 5.2"),
        ("0\r\nGET / HTTP/1.1\r\n\r\n", Trailer(FieldError::Name), "9110 5.1"),
        ("0\r\n: b\r\n\r\n", Trailer(FieldError::Name), "9110 5.1"),
        ("", Truncated, "9112 8"),
        ("5\r\nhel", Truncated, "9112 8"),
        ("5\r\nhello\r\n", Truncated, "9112 8"),
        ("5\r\nhello\r\n0\r\n", Truncated, "9112 8"),
        ("5\r\nhello\r\n0\r\nA: b\r\n", Truncated, "9112 8"),
    ];
    for (text, error, section) in rows {
        assert_eq!(chunked(text), Err(error), "{section}: {text:?}");
        assert!(error.to_string().contains("(RFC "), "{error:?}");
    }
}

#[test]
fn an_error_is_final() {
    let mut decoder = BodyDecoder::new(Framing::Chunked, &Limits::default());
    assert_eq!(decoder.decode(&mut b"x".to_vec()), Err(ChunkSize));
    assert_eq!(decoder.decode(&mut b"0\r\n\r\n".to_vec()), Err(ChunkSize));
    assert_eq!(decoder.eof(false), Err(ChunkSize));
    assert!(!decoder.is_end());
}

#[test]
fn chunk_lines_and_trailers_are_bounded() {
    let limits = Limits { chunk_line: 10, trailer_bytes: 12, fields: 2, ..Limits::default() };
    let decode = |text: &str| decode_with(text, Framing::Chunked, &limits);
    assert!(decode("0;12345678\r\n\r\n").is_ok());
    assert_eq!(decode("0;123456789\r\n\r\n"), Err(ChunkLine));
    assert_eq!(decode("00000000000\r\n\r\n"), Err(ChunkLine));
    assert!(decode("0\r\nA: 1\r\nB: 2\r\n\r\n").is_ok());
    assert_eq!(decode("0\r\nA: 1\r\nB: 23\r\n\r\n"), Err(TrailersTooLarge));
    assert_eq!(decode("0\r\nA: 12345678"), Err(Truncated));
    assert_eq!(decode("0\r\nA: 1234567890"), Err(TrailersTooLarge));
    // Dropped ones count too.
    assert_eq!(decode("0\r\nHost: x\r\nB: 2\r\n\r\n"), Err(TrailersTooLarge));
    assert_eq!(decode("0\r\nA:\r\nB:\r\nC:\r\n\r\n"), Err(TrailersTooLarge));
}

#[test]
fn extensions_are_bounded_in_all() {
    // CVE-2023-39326: each chunk of one byte costs the sender a kilobyte, and us the same.
    let chunk = format!("1;{}\r\nx\r\n", "a".repeat(1000));
    assert_eq!(chunked(&format!("{}0\r\n\r\n", chunk.repeat(20))), Err(ChunkLine));
    assert!(chunked(&format!("{}0\r\n\r\n", chunk.repeat(10))).is_ok());
    // Small chunks with small extensions go on for ever.
    assert!(chunked(&format!("{}0\r\n\r\n", "1;a=12345\r\nx\r\n".repeat(10_000))).is_ok());
}

#[test]
fn other_framings_are_decoded() {
    let decode = |text: &str, framing| decode_with(text, framing, &Limits::default());
    let ok = |data: &str, rest: &str| Ok((data.to_owned(), String::new(), rest.to_owned()));
    assert_eq!(decode("abcde", Framing::None), ok("", "abcde"));
    assert_eq!(decode("abcde", Framing::Length(0)), ok("", "abcde"));
    assert_eq!(decode("abcde", Framing::Length(3)), ok("abc", "de"));
    assert_eq!(decode("abcde", Framing::Length(5)), ok("abcde", ""));
    assert_eq!(decode("abcde", Framing::Length(6)), Err(Truncated));
    assert_eq!(decode("abcde", Framing::UntilClose), ok("abcde", ""));
    assert_eq!(decode("", Framing::UntilClose), ok("", ""));
}

/// RFC 9112 section 9.8: whose end is only that of the connection is not complete without its word for an end.
#[test]
fn a_connection_that_was_cut_off_ends_no_body() {
    let after = |bytes: &[u8], framing| {
        let mut decoder = BodyDecoder::new(framing, &Limits::default());
        decoder.decode(&mut bytes.to_vec()).map(drop)?;
        decoder.eof(true).inspect(|()| assert!(decoder.is_end()))
    };
    assert_eq!(after(b"abc", Framing::UntilClose), Err(CutOff));
    assert_eq!(after(b"", Framing::UntilClose), Err(CutOff));
    assert_eq!(after(b"abc", Framing::Length(3)), Ok(()));
    assert_eq!(after(b"abc", Framing::Length(4)), Err(Truncated));
    assert_eq!(after(b"0\r\n\r\n", Framing::Chunked), Ok(()));
    assert_eq!(after(b"", Framing::None), Ok(()));
}

#[test]
fn content_is_framed() {
    let mut out = Vec::new();
    let mut encoder = BodyEncoder::new(Framing::Chunked);
    let frame = encoder.frame(0x1a2b).expect("chunks are endless");
    assert_eq!((frame.prefix(), frame.suffix()), (&b"1a2b\r\n"[..], &b"\r\n"[..]));
    let frame = encoder.frame(usize::MAX).expect("chunks are endless");
    assert_eq!(frame.prefix(), format!("{:x}\r\n", usize::MAX).as_bytes());
    // An empty chunk would be the last one.
    let frame = encoder.frame(0).expect("it is nothing");
    assert_eq!((frame.prefix(), frame.suffix()), (&b""[..], &b""[..]));
    encoder.finish(b"A: b\r\n", &mut out).expect("it may end");
    encoder.finish(b"A: b\r\n", &mut out).expect("it ended");
    assert_eq!(out, b"0\r\nA: b\r\n\r\n");
    assert_eq!(encoder.frame(1).err(), Some(TooLong));

    let mut encoder = BodyEncoder::new(Framing::Length(5));
    let frame = encoder.frame(3).expect("it fits");
    assert_eq!((frame.prefix(), frame.suffix()), (&b""[..], &b""[..]));
    assert_eq!(encoder.finish(b"", &mut out), Err(TooShort));
    assert_eq!(encoder.frame(3).err(), Some(TooLong));
    assert!(encoder.frame(2).is_ok());
    assert_eq!(encoder.finish(b"A: b\r\n", &mut out), Ok(()));

    let mut encoder = BodyEncoder::new(Framing::None);
    assert!(encoder.frame(0).is_ok());
    assert_eq!(encoder.frame(1).err(), Some(TooLong));
    assert_eq!(encoder.finish(b"", &mut out), Ok(()));

    let mut encoder = BodyEncoder::new(Framing::UntilClose);
    assert!(encoder.frame(1).is_ok_and(|frame| frame.prefix().is_empty()));
    assert_eq!(encoder.finish(b"", &mut out), Ok(()));
    assert_eq!(out, b"0\r\nA: b\r\n\r\n");
}

#[test]
fn a_body_without_framing_keeps_to_its_length_and_ends_when_told() {
    let limits = Limits::default();
    let mut body = BodyDecoder::unframed(Some(3), &limits);
    assert_eq!((body.take(2), body.is_end()), (Ok(()), false));
    assert_eq!(body.take(2), Err(TooLong));
    assert_eq!(body.end(b""), Err(TooLong), "it stays broken");

    let mut body = BodyDecoder::unframed(Some(3), &limits);
    assert_eq!((body.take(2), body.end(b"")), (Ok(()), Err(Truncated)));

    let mut body = BodyDecoder::unframed(None, &limits);
    assert_eq!(body.take(5), Ok(()));
    assert_eq!(body.end(b"grpc-status: 0\r\ncontent-length: 1\r\nx: y\r\n"), Ok(()));
    assert_eq!(body.trailers(), b"grpc-status: 0\r\nx: y\r\n", "without the forbidden one");
    assert_eq!(body.take(1), Err(TooLong), "after the end");

    let mut body = BodyDecoder::unframed(None, &Limits { trailer_bytes: 4, ..limits });
    assert_eq!(body.end(b"a: b\r\n"), Err(TrailersTooLarge));
    let mut body = BodyDecoder::unframed(None, &limits);
    assert_eq!(body.end(b"a: b"), Err(Truncated));
}
