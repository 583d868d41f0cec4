//! A health check by `grpc.health.v1.Health/Check`
//! (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>).

use std::pin::pin;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{self, SendRequest};
use http::{HeaderMap, Request};
use rosn_config::checked::GrpcQuestion;
use rosn_net::Stream;

/// `HealthCheckResponse.ServingStatus`.
const SERVING: u64 = 1;
/// Bytes that an answer may have: it is one small number.
const MAX_ANSWER: usize = 1024;

/// Makes the call, on a connection of its own.
pub(super) async fn ask(
    stream: Stream,
    question: &GrpcQuestion,
    authority: &str,
    timeout: Duration,
) -> Result<(), String> {
    let handshake = client::Builder::new()
        .enable_push(false)
        .max_header_list_size(16 << 10)
        .handshake::<_, Bytes>(stream);
    let (sender, connection) = handshake.await.map_err(broke)?;
    let mut call = pin!(call(sender, question, authority, timeout));
    tokio::select! {
        biased;
        result = &mut call => result,
        end = connection => match end {
            // What was read before the end may hold the answer.
            Ok(()) => call.await,
            Err(error) => Err(broke(error)),
        },
    }
}

fn broke(error: h2::Error) -> String {
    format!("the HTTP/2 connection broke: {error}")
}

async fn call(
    sender: SendRequest<Bytes>,
    question: &GrpcQuestion,
    authority: &str,
    timeout: Duration,
) -> Result<(), String> {
    let scheme = if question.tls { "https" } else { "http" };
    let request = Request::post(format!("{scheme}://{authority}/grpc.health.v1.Health/Check"))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .header("grpc-timeout", format!("{}m", timeout.as_millis().clamp(1, 99_999_999)))
        .header("user-agent", "rosn-health-check")
        .body(())
        .map_err(|error| format!("the authority cannot be asked for: {error}"))?;
    let mut sender = sender.ready().await.map_err(broke)?;
    let (response, mut body) = sender.send_request(request, false).map_err(broke)?;
    body.send_data(message(&question.service), true).map_err(broke)?;
    let (head, mut body) = response.await.map_err(broke)?.into_parts();
    if head.status != http::StatusCode::OK {
        return Err(format!("it answered {}", head.status.as_u16()));
    }
    // An answer without a message has its status in the head.
    check_status(&head.headers)?;
    let mut answer = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(broke)?;
        if answer.len() + data.len() > MAX_ANSWER {
            return Err("its answer is too long".to_owned());
        }
        answer.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len()).map_err(broke)?;
    }
    check_status(&body.trailers().await.map_err(broke)?.unwrap_or_default())?;
    match serving_status(&answer) {
        Some(SERVING) => Ok(()),
        Some(0) => Err("it answered UNKNOWN".to_owned()),
        Some(2) => Err("it answered NOT_SERVING".to_owned()),
        Some(3) => Err("it answered SERVICE_UNKNOWN".to_owned()),
        _ => Err("its answer is no health check's".to_owned()),
    }
}

/// Whether the status, where there is one, is 0.
fn check_status(fields: &HeaderMap) -> Result<(), String> {
    let Some(status) = fields.get("grpc-status") else { return Ok(()) };
    if status == "0" {
        return Ok(());
    }
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let message = fields.get("grpc-message").map(text).unwrap_or_default();
    Err(format!("it answered the gRPC status {} {message}", text(status)).trim_end().to_owned())
}

/// `HealthCheckRequest { string service = 1; }` with the five bytes that go before a message.
fn message(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(1 << 3 | 2);
        let mut length = service.len();
        while length >= 0x80 {
            message.put_u8(length as u8 | 0x80);
            length >>= 7;
        }
        message.put_u8(length as u8);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    framed.freeze()
}

/// The status of a framed `HealthCheckResponse { ServingStatus status = 1; }`; `None` for what is none. Fields that are
/// not known are passed over.
fn serving_status(framed: &[u8]) -> Option<u64> {
    let (prefix, mut message) = framed.split_at_checked(5)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    if prefix[0] != 0 || usize::try_from(length).ok()? != message.len() {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match key & 7 {
            0 => {
                let value = varint(&mut message)?;
                status = if key >> 3 == 1 { value } else { status };
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

/// A number of protobuf's, taken from the front.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
