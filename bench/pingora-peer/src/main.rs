//! A plain reverse proxy made of Pingora: HTTP/1.1 on 8401, or TCP on 8404, 8405 and 8407.
//!
//! Each Pingora service has a thread of its own, so the two kinds are two processes: `pingora-peer h1`
//! and `pingora-peer l4`.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::Result;
use pingora::apps::ServerApp;
use pingora::connectors::TransportConnector;
use pingora::lb::{LoadBalancer, selection::RoundRobin};
use pingora::protocols::Stream;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{Server, ShutdownWatch};
use pingora::services::listening::Service;
use pingora::upstreams::peer::{BasicPeer, HttpPeer};

struct Balanced(Arc<LoadBalancer<RoundRobin>>);

#[async_trait]
impl ProxyHttp for Balanced {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        let backend = self.0.select(b"", 256).expect("there is one backend");
        Ok(Box::new(HttpPeer::new(backend, false, String::new())))
    }
}

struct Tunnel {
    connector: TransportConnector,
    to: BasicPeer,
}

#[async_trait]
impl ServerApp for Tunnel {
    async fn process_new(self: &Arc<Self>, mut downstream: Stream, _: &ShutdownWatch) -> Option<Stream> {
        if let Ok(mut upstream) = self.connector.new_stream(&self.to).await {
            let size = 65536;
            let _ = tokio::io::copy_bidirectional_with_sizes(&mut downstream, &mut upstream, size, size).await;
        }
        None
    }
}

fn main() {
    let conf = ServerConf { threads: 1, upstream_keepalive_pool_size: 512, ..Default::default() };
    let mut server = Server::new_with_opt_and_conf(Some(Opt::default()), conf);
    server.bootstrap();
    if std::env::args().nth(1).as_deref() == Some("l4") {
        for (port, to) in [(8404, "127.0.0.1:9002"), (8405, "127.0.0.1:9000"), (8407, "127.0.0.1:9003")] {
            let tunnel = Tunnel { connector: TransportConnector::new(None), to: BasicPeer::new(to) };
            let mut service = Service::new(format!("l4-{port}"), tunnel);
            service.add_tcp(&format!("127.0.0.1:{port}"));
            server.add_service(service);
        }
    } else {
        let backends = LoadBalancer::<RoundRobin>::try_from_iter(["127.0.0.1:9000"]).expect("an address");
        let mut service = http_proxy_service(&server.configuration, Balanced(Arc::new(backends)));
        service.add_tcp("127.0.0.1:8401");
        server.add_service(service);
    }
    server.run_forever();
}
