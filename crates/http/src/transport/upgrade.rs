//! Taking connections over from HTTP.

use http::Response;

use super::connection::Switched;
use crate::body::Received;
use crate::error::Kind;
use crate::hijack::Hijacked;
use crate::{Body, Error, Phase};

/// The connection of a response that switched it to something else: 101, or 2xx to CONNECT.
///
/// What the server had sent behind the head is in [`Hijacked::read_buf`]. Look at the response's status first: a server
/// may refuse, and then the response is an ordinary one, which would be lost here.
///
/// ```no_run
/// use http::{Request, StatusCode};
/// use rosn_http::transport::{Transport, upgrade};
/// use rosn_http::{Body, RoundTrip};
///
/// # async fn attach(transport: Transport) -> Result<(), Box<dyn std::error::Error>> {
/// let request = Request::post("http://localhost/exec/1/start")
///     .header("connection", "Upgrade")
///     .header("upgrade", "tcp")
///     .body(Body::empty())?;
/// let response = transport.round_trip(request).await?;
/// if response.status() == StatusCode::SWITCHING_PROTOCOLS {
///     let mut connection = upgrade(response)?;
///     tokio::io::AsyncWriteExt::write_all(&mut connection, b"hello").await?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The response is none of these, or was not asked for, or its body was wrapped: [`Phase::Upgrade`].
pub fn upgrade(response: Response<Body>) -> Result<Hijacked, Error> {
    let status = response.status();
    match response.into_body().into_received() {
        Some(Received::Switched(switched)) => Ok(hijacked(*switched)),
        _ => Err(refused(format!("{status} is no switch of protocols that was asked for"))),
    }
}

/// The connection of a response whose body lasts until the connection ends, in both directions: Docker's raw stream,
/// which older daemons answer to `attach` and `exec` with 200 and no upgrade. Also what [`upgrade`] takes.
///
/// What was read of the body is in [`Hijacked::read_buf`], but for what the body had handed out.
///
/// # Errors
/// The response has an end of its own, or its body was read to its end or wrapped: [`Phase::Upgrade`].
pub fn take_over(response: Response<Body>) -> Result<Hijacked, Error> {
    match response.into_body().into_received() {
        Some(Received::Switched(switched)) => Ok(hijacked(*switched)),
        Some(Received::Body(body)) => body.take_over().map(hijacked).map_err(refused),
        None => Err(refused("the response has a body with an end, or none")),
    }
}

fn hijacked(switched: Switched) -> Hijacked {
    Hijacked::new(switched.stream, switched.read)
}

fn refused(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::of(Phase::Upgrade, Kind::Failed).what(what)
}
