use std::io;

use futures_util::stream;

use super::*;

#[tokio::test]
async fn whole_bodies_can_be_had_again() {
    let body = Body::from("abc");
    let again = body.try_clone().unwrap();
    assert_eq!(body.size_hint().exact(), Some(3));
    assert_eq!(body.bytes(3).await.unwrap(), "abc");
    assert!(again.bytes(2).await.unwrap_err().is_too_large());
    assert!(Body::from("").is_end_stream());
    assert!(Body::empty().try_clone().is_some());
}

#[tokio::test]
async fn a_replayable_body_is_made_for_each_attempt() {
    let body = Body::replayable(|| Body::from_reader(&b"hello"[..]));
    let again = body.try_clone().unwrap();
    let third = again.try_clone().unwrap();
    for body in [body, again, third] {
        assert_eq!(body.bytes(10).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn streams_and_readers_end_and_fail() {
    let pieces = stream::iter([Ok::<_, io::Error>(Bytes::from("ab")), Ok(Bytes::from("cd"))]);
    let body = Body::from_stream(pieces);
    assert!(body.try_clone().is_none());
    assert_eq!(body.bytes(4).await.unwrap(), "abcd");
    let broken = stream::iter([Err(io::Error::other("no more"))]);
    let error = Body::from_stream(broken).bytes(4).await.unwrap_err();
    assert!(error.is_body() && error.to_string().contains("no more"), "{error}");
    let large = Body::from_reader(tokio::io::repeat(7));
    assert!(large.bytes(100_000).await.unwrap_err().is_too_large());
    let wrapped = Body::new(Body::from("x"));
    assert_eq!(wrapped.bytes(1).await.unwrap(), "x");
}

#[test]
fn its_content_is_not_shown() {
    assert_eq!(format!("{:?}", Body::from("secret")), "Body(6 bytes)");
}
