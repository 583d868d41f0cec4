use http::{HeaderMap, Response};
use tokio::net::{TcpListener, TcpStream};

use super::*;

#[test]
fn frames_the_question() {
    assert_eq!(message(""), &[0, 0, 0, 0, 0][..]);
    assert_eq!(message("a.b"), &[0, 0, 0, 0, 5, 10, 3, b'a', b'.', b'b'][..]);
    let long = message(&"x".repeat(200));
    assert_eq!(long[..8], [0, 0, 0, 0, 203, 10, 0xC8, 1]);
}

#[test]
fn reads_the_answer_and_nothing_else() {
    for (framed, expected) in [
        (&[0, 0, 0, 0, 2, 8, 1][..], Some(1)),
        (&[0, 0, 0, 0, 0], Some(0)),
        (&[0, 0, 0, 0, 6, 18, 2, 9, 9, 8, 2], Some(2)), // another field first
        (&[0, 0, 0, 0, 2, 8], None),                    // cut off
        (&[0, 0, 0, 0, 1, 8], None),                    // a key without a value
        (&[1, 0, 0, 0, 2, 8, 1], None),                 // compressed, which was not offered
        (&[0, 0, 0, 0, 3, 18, 9, 9], None),             // longer than it is
        (&[0, 0, 0, 0, 11, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255], None),
        (b"", None),
    ] {
        assert_eq!(serving_status(framed), expected, "{framed:?}");
    }
}

/// What a server sends.
#[derive(Clone, Copy)]
struct Answer {
    http: u16,
    /// In the head, where there is no message.
    early: Option<&'static str>,
    message: &'static [u8],
    late: Option<&'static str>,
}

const SERVING_ANSWER: Answer =
    Answer { http: 200, early: None, message: &[0, 0, 0, 0, 2, 8, 1], late: Some("0") };

/// Asks a server that answers so; what came of it, and the request that it got.
async fn ask_one(answer: Answer) -> (Result<(), String>, (String, HeaderMap, Vec<u8>)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server =
        tokio::spawn(async move { serve(listener.accept().await.unwrap().0, answer).await });
    let stream = Stream::from(TcpStream::connect(addr).await.unwrap());
    let question = GrpcQuestion { service: "a.B".to_owned(), authority: None, tls: false };
    let result = ask(stream, &question, "a.test:80", Duration::from_secs(2)).await;
    (result, server.await.unwrap())
}

async fn serve(stream: TcpStream, answer: Answer) -> (String, HeaderMap, Vec<u8>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let (request, mut respond) = connection.accept().await.unwrap().unwrap();
    let (head, mut body) = request.into_parts();
    let mut got = Vec::new();
    tokio::spawn(async move { while connection.accept().await.is_some() {} });
    while let Some(data) = body.data().await {
        got.extend_from_slice(&data.unwrap());
    }
    let mut response = Response::builder().status(answer.http);
    if let Some(status) = answer.early {
        response = response.header("grpc-status", status).header("grpc-message", "why");
    }
    let ends = answer.message.is_empty() && answer.late.is_none();
    let mut sending = respond.send_response(response.body(()).unwrap(), ends).unwrap();
    if !answer.message.is_empty() {
        // In two pieces, as a network may cut it.
        let (a, b) = answer.message.split_at(answer.message.len() / 2);
        sending.send_data(Bytes::from_static(a), false).unwrap();
        sending.send_data(Bytes::from_static(b), answer.late.is_none()).unwrap();
    }
    if let Some(status) = answer.late {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        sending.send_trailers(trailers).unwrap();
    }
    (head.uri.to_string(), head.headers, got)
}

#[tokio::test]
async fn asks_for_a_service_and_takes_serving_for_well() {
    let (result, (uri, headers, body)) = ask_one(SERVING_ANSWER).await;
    assert_eq!(result, Ok(()));
    assert_eq!(uri, "http://a.test:80/grpc.health.v1.Health/Check");
    assert_eq!(headers["te"], "trailers");
    assert_eq!(headers["content-type"], "application/grpc");
    assert_eq!(headers["grpc-timeout"], "2000m");
    assert_eq!(body, message("a.B"));
}

#[tokio::test]
async fn takes_all_else_for_unwell() {
    let message = SERVING_ANSWER;
    for (answer, expected) in [
        (Answer { message: &[0, 0, 0, 0, 2, 8, 2], ..message }, "it answered NOT_SERVING"),
        (Answer { message: &[0, 0, 0, 0, 2, 8, 3], ..message }, "it answered SERVICE_UNKNOWN"),
        (Answer { message: &[0, 0, 0, 0, 0], ..message }, "it answered UNKNOWN"),
        (Answer { message: &[0, 0, 0, 0, 2, 8, 9], ..message }, "its answer is no health check's"),
        (Answer { message: &[b'x'; 2000], ..message }, "its answer is too long"),
        (
            Answer { early: Some("12"), message: &[], late: None, ..message },
            "it answered the gRPC status 12 why",
        ),
        (Answer { late: Some("14"), ..message }, "it answered the gRPC status 14"),
        (Answer { http: 503, message: &[], late: None, ..message }, "it answered 503"),
    ] {
        assert_eq!(ask_one(answer).await.0, Err(expected.to_owned()));
    }
}

#[tokio::test]
async fn a_server_of_something_else_is_unwell() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 smtp.test ready\r\n").await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    let stream = Stream::from(TcpStream::connect(addr).await.unwrap());
    let question = GrpcQuestion { service: String::new(), authority: None, tls: false };
    let result = ask(stream, &question, "a.test", Duration::from_secs(2)).await;
    assert!(result.unwrap_err().starts_with("the HTTP/2 connection broke: "));
}
