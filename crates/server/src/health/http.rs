//! A health check by an HTTP/1.1 request.

use rosn_config::checked::HttpQuestion;
use rosn_h1::{Limits, Method, Progress, ResponseHead};
use rosn_net::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Sends the request and reads the head of the answer.
pub(super) async fn ask(
    mut stream: Stream,
    question: &HttpQuestion,
    host: &str,
) -> Result<(), String> {
    let HttpQuestion { method, path, codes, .. } = question;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: rosn-health-check\r\n\
         Connection: close\r\n\r\n"
    );
    let broke = |error: std::io::Error| format!("the connection broke: {error}");
    stream.write_all(head.as_bytes()).await.map_err(broke)?;
    stream.flush().await.map_err(broke)?;
    let status = read_status(&mut stream, Method::of(method.as_bytes())).await?;
    let good = codes.iter().any(|(first, last)| (*first..=*last).contains(&status));
    if good { Ok(()) } else { Err(format!("it answered {status}")) }
}

/// The status of the final response.
async fn read_status(stream: &mut Stream, method: Method) -> Result<u16, String> {
    let limits = Limits::default();
    let mut received = Vec::with_capacity(1024);
    let mut head = ResponseHead::default();
    loop {
        match head.parse(&received, &limits, method) {
            Ok(Progress::Complete(len)) if head.is_interim() => {
                received.drain(..len);
                head.reset();
                continue;
            }
            Ok(Progress::Complete(_)) => return Ok(head.status()),
            Ok(Progress::Partial) => {}
            Err(error) => return Err(format!("its answer is invalid: {error}")),
        }
        match stream.read_buf(&mut received).await {
            Ok(0) => return Err("it closed the connection without an answer".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(format!("the connection broke: {error}")),
        }
    }
}
