//! Runs a command in a container, as `docker exec -i` does: `docker_exec /var/run/docker.sock CONTAINER COMMAND…`.
//!
//! The daemon is asked to switch the connection to raw bytes (`Upgrade: tcp`). A new one answers 101; one that knows
//! no upgrade answers 200, and the bytes follow all the same. Either way the program owns the connection then: what it
//! reads on its standard input goes in, and the end of that is a half-close, after which the command's output still
//! comes.

use std::error::Error;
use std::process::ExitCode;

use http::{Request, Response, StatusCode};
use rosn_base::Addr;
use rosn_http::connect::ConnectOptions;
use rosn_http::hijack::Hijacked;
use rosn_http::transport::{take_over, upgrade};
use rosn_http::{Body, RoundTrip as _, Transport};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 1 << 20;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let result = runtime.block_on(run());
    // A read of standard input cannot be given up; it is not waited for.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| failed(&*error))
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

async fn run() -> Result<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [socket, container, command @ ..] = arguments.as_slice() else {
        return Err("usage: docker_exec SOCKET CONTAINER COMMAND…".into());
    };
    let connect = ConnectOptions {
        dial_to: Some(Addr::parse(socket, true).map_err(|error| error.to_string())?),
        ..ConnectOptions::default()
    };
    let docker = Transport::builder().connect(connect).build()?;

    let exec = json!({
        "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": false, "Cmd": command,
    });
    let created = post(&docker, &format!("/containers/{container}/exec"), &exec, &[]).await?;
    let id = answer(created, StatusCode::CREATED).await?["Id"].as_str().ok_or("no Id")?.to_owned();

    let start = json!({ "Detach": false, "Tty": false });
    let switch = [("connection", "Upgrade"), ("upgrade", "tcp")];
    let started = post(&docker, &format!("/exec/{id}/start"), &start, &switch).await?;
    let connection = match started.status() {
        StatusCode::SWITCHING_PROTOCOLS => upgrade(started)?,
        StatusCode::OK => take_over(started)?,
        _ => return Err(refusal(started).await),
    };
    attach(connection).await?;

    let uri = format!("http://docker/exec/{id}/json");
    let ended = docker.round_trip(Request::get(uri).body(Body::empty())?).await?;
    let code = answer(ended, StatusCode::OK).await?["ExitCode"].as_u64().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

async fn post(
    docker: &Transport,
    path: &str,
    body: &Value,
    fields: &[(&str, &str)],
) -> Result<Response<Body>> {
    let request =
        Request::post(format!("http://docker{path}")).header("content-type", "application/json");
    let request =
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Ok(docker.round_trip(request.body(Body::from(body.to_string()))?).await?)
}

/// What the daemon says, where that is what was expected.
async fn answer(response: Response<Body>, expected: StatusCode) -> Result<Value> {
    if response.status() != expected {
        return Err(refusal(response).await);
    }
    let body = response.into_body().bytes(MAX_ANSWER).await?;
    Ok(serde_json::from_slice(&body)?)
}

/// Why the daemon did not do what it was asked.
async fn refusal(response: Response<Body>) -> Box<dyn Error> {
    let status = response.status();
    let body = response.into_body().bytes(MAX_ANSWER).await.unwrap_or_default();
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = answer["message"].as_str().unwrap_or("it does not say why");
    format!("the daemon answered {status}: {message}").into()
}

/// Joins the command's streams with those of this program.
async fn attach(connection: Hijacked) -> Result<()> {
    let (mut output, mut input) = tokio::io::split(connection);
    let send = async {
        tokio::io::copy(&mut tokio::io::stdin(), &mut input).await?;
        input.flush().await?;
        // The command reads an end of file, and goes on.
        input.shutdown().await
    };
    let mut shown = std::pin::pin!(show(&mut output));
    let sent = tokio::select! {
        // The command has ended: what it did not read is not sent.
        shown = &mut shown => return shown,
        sent = send => sent,
    };
    if let Err(error) = sent {
        eprintln!("standard input was not sent whole: {error}");
    }
    shown.await
}

/// Without a terminal the daemon sends standard output and standard error in frames: which of them, three bytes of
/// nothing, the length, the bytes.
async fn show(output: &mut (impl AsyncRead + Unpin)) -> Result<()> {
    let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
    let mut header = [0; 8];
    loop {
        if output.read(&mut header[..1]).await? == 0 {
            stdout.flush().await?;
            return Ok(());
        }
        output.read_exact(&mut header[1..]).await?;
        let [stream, _, _, _, length @ ..] = header;
        let mut frame = (&mut *output).take(u64::from(u32::from_be_bytes(length)));
        match stream {
            2 => tokio::io::copy(&mut frame, &mut stderr).await?,
            _ => tokio::io::copy(&mut frame, &mut stdout).await?,
        };
        stdout.flush().await?;
    }
}
