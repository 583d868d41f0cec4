"""What is asked of the proxies."""
from dataclasses import dataclass

from .peers import BACKEND, H2, H2_TO_H2, HTTP, SINK, SOURCE, TLS_ECDSA, TLS_RSA, Peer


@dataclass
class Workload:
    name: str
    port: int
    # the arguments of the generator, without the address and the time
    arguments: list[str]
    # bytes are counted, not requests
    bulk: bool = False
    # only peers with a route table take part
    routes: bool = False
    # of these peers and rosn only
    only: frozenset[str] = frozenset()
    # whether its connections resume TLS sessions; None is without TLS
    resumed: bool | None = None
    what: str = ""

    def suits(self, peer: Peer) -> bool:
        if self.only:
            return peer.name in self.only or peer.name.startswith("rosn")
        return peer.serves(self.port)


@dataclass
class Idle:
    """Connections that have had a response each and then lie still."""
    name: str
    port: int
    # the arguments of the generator, without the address and their number
    arguments: list[str]


def _http(name: str, text: str, what: str, port: int = HTTP, routes: bool = False) -> Workload:
    return Workload(name, port, ["http", *text.split()], routes=routes, what=what)


def _handshakes(name: str, port: int, what: str, *options: str, only: frozenset[str] = frozenset()) -> Workload:
    text = "http --conns 8 --path /0 --close --tls"
    return Workload(name, port, [*text.split(), *options], only=only, resumed="--resume" in options, what=what)


def _http2(name: str, port: int, text: str, what: str) -> Workload:
    return Workload(name, port, ["h2", "--conns", "4", "--streams", "100", *text.split()], what=what)


def _bulk(name: str, mode: str, connections: int, port: int, what: str) -> Workload:
    return Workload(name, port, [mode, "--conns", str(connections)], bulk=True, what=what)


def _websocket(name: str, size: int, what: str) -> Workload:
    return Workload(name, HTTP, ["ws", "--conns", "64", "--size", str(size)],
                    only=frozenset(["nginx", "haproxy", "haproxy-splice"]), what=what)


CPU = {workload.name: workload for workload in [
    _http("h1-0", "--conns 64 --path /0", "64 keep-alive connections, empty bodies"),
    _http("h1-1k", "--conns 64 --path /1k", "64 keep-alive connections, 1 KiB bodies"),
    _http("h1-64k", "--conns 64 --path /64k", "64 keep-alive connections, 64 KiB bodies"),
    _http("h1-1k-c1000", "--conns 1000 --path /1k", "1,000 keep-alive connections, 1 KiB bodies"),
    _http("h1-close", "--conns 64 --path /0 --close", "a connection for each request"),
    _http("h1-rate5k", "--conns 64 --path /1k --rate 5000 --warm 1", "1 KiB bodies at 5,000 requests/s"),
    _http("h1-rate20k", "--conns 64 --path /1k --rate 20000 --warm 1", "1 KiB bodies at 20,000 requests/s"),
    _http("tls-1k", "--conns 64 --path /1k --tls", "64 keep-alive connections over TLS, 1 KiB bodies", port=TLS_ECDSA),
    _http("tls-64k", "--conns 64 --path /64k --tls", "64 keep-alive connections over TLS, 64 KiB bodies", port=TLS_ECDSA),
    _handshakes("tls-full-ecdsa", TLS_ECDSA, "a TLS handshake with P-256 and a request"),
    # the OpenSSL of Debian 12 does not know the group
    _handshakes("tls-full-pq", TLS_ECDSA, "the same with the group X25519MLKEM768", "--pq", only=frozenset(["envoy"])),
    _handshakes("tls-full-rsa", TLS_RSA, "a TLS handshake with RSA of 2048 bits and a request"),
    _handshakes("tls-resumed", TLS_ECDSA, "a resumed TLS handshake and a request", "--resume"),
    _http2("h2-h1", H2, "--path /1k", "HTTP/2 to HTTP/1.1, 4 connections of 100 streams, 1 KiB bodies"),
    _http2("h2-h1-64k", H2, "--path /64k", "the same with 64 KiB bodies"),
    _http2("h2-h1-tls", TLS_ECDSA, "--path /1k --tls", "the same with 1 KiB over TLS"),
    _http2("h2-h2", H2_TO_H2, "--path /1k", "HTTP/2 to HTTP/2, 4 connections of 100 streams, 1 KiB bodies"),
    _http2("grpc-unary", H2_TO_H2, "--grpc", "gRPC calls, 4 connections of 100 streams, messages of 100 B"),
    _websocket("ws-100", 100, "64 WebSockets, echoes of 100 B"),
    _websocket("ws-64k", 65536, "64 WebSockets, echoes of 64 KiB"),
    _bulk("l4-dl1", "download", 1, SOURCE, "one TCP download"),
    _bulk("l4-dl16", "download", 16, SOURCE, "16 TCP downloads"),
    _bulk("l4-ul1", "upload", 1, SINK, "one TCP upload"),
    _http("l4-conn", "--conns 64 --path /0 --close", "TCP, a connection for each request", port=BACKEND),
    _http("l4-req", "--conns 64 --path /0", "TCP, requests forwarded without parsing", port=BACKEND),
    _http("routes", "--conns 64 --path /1k", "random hosts and routes of the table, 1 KiB bodies", routes=True),
]}

# measured apart from the rounds
MEMORY = {idle.name: idle for idle in [
    Idle("memory", HTTP, []),
    Idle("memory-tls", TLS_ECDSA, ["--tls"]),
    Idle("memory-h2", H2, ["--h2"]),
    Idle("memory-h2-tls", TLS_ECDSA, ["--h2", "--tls"]),
]}
ALLOCATIONS = "allocations"
ALL = [*CPU, *MEMORY, ALLOCATIONS]
