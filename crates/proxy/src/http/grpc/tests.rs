use super::*;

#[test]
fn knows_a_call_by_its_content_type() {
    for (kind, expected) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("Application/gRPC+json", true),
        ("application/grpc;charset=x", true),
        ("application/grpc-web", false),
        ("application/grpcx", false),
        ("application/json", false),
        ("", false),
    ] {
        assert_eq!(is_grpc(kind.as_bytes()), expected, "{kind}");
    }
}

#[test]
fn reads_timeouts() {
    for (value, expected) in [
        ("1H", Some(3_600_000_000_000)),
        ("2M", Some(120_000_000_000)),
        ("15S", Some(15_000_000_000)),
        ("100m", Some(100_000_000)),
        ("99999999u", Some(99_999_999_000)),
        ("0n", Some(0)),
        ("99999999H", Some(u64::MAX)),
        ("100000000u", None),
        ("1", None),
        ("S", None),
        ("1s", None),
        ("-1S", None),
        ("1.5S", None),
        ("", None),
    ] {
        assert_eq!(timeout::parse(value.as_bytes()), expected, "{value}");
    }
}

#[test]
fn says_what_is_left_and_never_more() {
    for (nanos, expected) in [
        (0, "0n"),
        (99_999_999, "99999999n"),
        (100_000_999, "100000u"),
        (99_999_999_999, "99999999u"),
        (100_000_000_000, "100000m"),
        (u64::MAX / 2, "2562047H"),
        (u64::MAX, "5124095H"),
    ] {
        let mut out = Vec::new();
        timeout::encode(nanos, &mut out);
        assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
        assert!(timeout::parse(&out).is_some_and(|back| back <= nanos));
    }
}

#[test]
fn encodes_messages() {
    let mut out = Vec::new();
    message::encode("100 % \n é~".as_bytes(), &mut out);
    assert_eq!(out, b"100 %25 %0A %C3%A9~");
}

#[test]
fn maps_statuses_of_http() {
    for (http, grpc) in [
        (400, 13),
        (401, 16),
        (403, 7),
        (404, 12),
        (429, 14),
        (502, 14),
        (503, 14),
        (504, 14),
        (500, 2),
        (413, 2),
        (301, 2),
    ] {
        assert_eq!(from_http(http), grpc, "{http}");
    }
    assert_eq!([0, 1, 3, 5, 8, 13, 14, 99].map(to_http), [200, 499, 400, 404, 429, 500, 503, 500]);
}

#[test]
fn reads_the_status_from_trailers() {
    let mut call = Call { deadline: NEVER, status: None, message: Vec::new() };
    call.note_trailers(b"");
    assert_eq!(call.status, None);
    call.note_trailers(b"x: 1\r\nGRPC-Status: 5\r\ngrpc-message: no%20such\r\n");
    assert_eq!((call.status, call.message.as_slice()), (Some(5), &b"no%20such"[..]));
    call.note_trailers(b"grpc-status: x\r\n");
    assert_eq!((call.status, call.message.len()), (Some(code::UNKNOWN), 0));
    let long = format!("grpc-status: 2\r\ngrpc-message: {}\r\n", "x".repeat(9000));
    call.note_trailers(long.as_bytes());
    assert_eq!(call.message.len(), KEPT);
}
