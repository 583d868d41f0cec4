//! The servers, each as its documentation shows it, on one thread.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rosn_http::Body;
use rosn_http::server::{Server, ServerOptions, handler_fn};
use rosn_net::{ListenOptions, Net as _, OsNet};
use tokio::net::TcpListener;

use crate::Outcome;

static CONTENT: [u8; 1024] = [b'x'; 1024];

/// Serves until it is killed.
pub fn rosn(port: u16) -> Outcome<String> {
    run(async {
        let options = ServerOptions { plain_http2: true, ..ServerOptions::default() };
        let answer = handler_fn(async |_| Response::new(Body::from(Bytes::from_static(&CONTENT))));
        let server = Server::with_options(answer, options);
        let listen = |port| OsNet.listen(&local(port).into(), &ListenOptions::default());
        let (http1, http2) = (listen(port)?, listen(port + 1)?);
        tokio::try_join!(server.serve(http1), server.serve(http2))?;
        Ok(())
    })
}

/// Serves until it is killed.
pub fn hyper(port: u16) -> Outcome<String> {
    run(async {
        let (http1, http2) = (bind(port).await?, bind(port + 1).await?);
        loop {
            tokio::select! {
                accepted = http1.accept() => {
                    let stream = accepted?.0;
                    stream.set_nodelay(true)?;
                    let serving = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service_fn(content));
                    tokio::spawn(serving);
                }
                accepted = http2.accept() => {
                    let stream = accepted?.0;
                    stream.set_nodelay(true)?;
                    let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service_fn(content));
                    tokio::spawn(serving);
                }
            }
        }
    })
}

async fn content(_: Request<hyper::body::Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(&CONTENT))))
}

fn run(serving: impl Future<Output = Outcome>) -> Outcome<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serving).map(|()| String::new())
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

async fn bind(port: u16) -> Outcome<TcpListener> {
    Ok(TcpListener::bind(local(port)).await?)
}
