//! What programs move between threads can be moved.

use http::Request;
use rosn_http::client::{Client, CookieJar, Hop};
use rosn_http::connect::{ConnectOptions, Connected, Connector, Proxies, Proxy, Target};
use rosn_http::hijack::{HijackError, Hijacked, Hijacker, OnSwitch, ShutdownSignal, UnreadBody};
use rosn_http::server::{
    ConnState, Handler, Informational, ServeError, Server, ServerOptions, StateHook,
};
use rosn_http::transport::TransportBuilder;
use rosn_http::wire::{BodyBuffer, MessageWriter};
use rosn_http::{Body, Error, RoundTrip, Transport};
use rosn_net::Stream;
use rosn_trace::{
    Callbacks, CancelHandle, ClientTrace, RequestContext, Timings, TraceHandle, UntilCancelled,
};

fn send<T: Send>() {}
fn both<T: Send + Sync>() {}
fn both_of<T: Send + Sync>(_: &T) {}
fn is_send<T: Send>(_: T) {}

#[test]
fn types() {
    both::<(Client, CookieJar, Hop, Transport, TransportBuilder, Box<dyn RoundTrip>, Error)>();
    both::<(Connector, ConnectOptions, Proxies, Proxy, Target)>();
    both::<(Hijacker, HijackError, ShutdownSignal, Informational)>();
    both::<(ServerOptions, StateHook, ConnState, ServeError)>();
    both::<(MessageWriter, BodyBuffer)>();
    both::<(TraceHandle, RequestContext, CancelHandle, Timings, Callbacks, Box<dyn ClientTrace>)>();
    send::<(Body, Connected, Hijacked, OnSwitch, UnreadBody, UntilCancelled)>();
    send::<(Request<Body>, Stream)>();
}

/// None of them is polled.
#[expect(dead_code, reason = "it only has to compile")]
fn futures<H: Handler>(
    transport: &Transport,
    client: &Client,
    server: Server<H>,
    connector: &Connector,
    target: &Target,
) {
    both_of(&server);
    is_send(transport.send(Request::default()));
    is_send(transport.round_trip(Request::default()));
    is_send(client.request(Request::default()));
    is_send(client.get("http://x/"));
    is_send(Body::empty().bytes(1));
    let trace = TraceHandle::none();
    is_send(connector.connect(target, &trace, rosn_trace::DialId::next(), None));
    is_send(async move { server.shutdown(rosn_http::server::Policy::default()).await });
}

#[expect(dead_code, reason = "it only has to compile")]
fn hijacked(hijacker: Hijacker, a: Hijacked, b: Hijacked, mut c: Hijacked) {
    is_send(async move { hijacker.hijack().await });
    is_send(a.tunnel(b, rosn_http::hijack::TunnelOptions::default()));
    is_send(async move { c.read_body().await });
}

#[expect(dead_code, reason = "it only has to compile")]
fn serving<H: Handler>(
    server: &Server<H>,
    listener: Box<dyn rosn_net::NetListener>,
    stream: Stream,
) {
    is_send(server.serve(listener));
    is_send(server.serve_stream(stream));
}
