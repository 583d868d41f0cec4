"""What is asked of the proxies."""
from dataclasses import dataclass

from .peers import BACKEND, HTTP, SINK, SOURCE, Peer


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
    # over HTTP, and of these peers and rosn only
    tunnel: frozenset[str] = frozenset()
    what: str = ""

    def suits(self, peer: Peer) -> bool:
        if self.tunnel:
            return peer.name in self.tunnel or peer.name.startswith("rosn")
        return self.port != HTTP or not peer.tcp_only


def _http(name: str, text: str, what: str, port: int = HTTP, routes: bool = False) -> Workload:
    return Workload(name, port, ["http", *text.split()], routes=routes, what=what)


def _bulk(name: str, mode: str, connections: int, port: int, what: str) -> Workload:
    return Workload(name, port, [mode, "--conns", str(connections)], bulk=True, what=what)


def _websocket(name: str, size: int, what: str) -> Workload:
    return Workload(name, HTTP, ["ws", "--conns", "64", "--size", str(size)],
                    tunnel=frozenset(["nginx", "haproxy", "haproxy-splice"]), what=what)


CPU = {workload.name: workload for workload in [
    _http("h1-0", "--conns 64 --path /0", "64 keep-alive connections, empty bodies"),
    _http("h1-1k", "--conns 64 --path /1k", "64 keep-alive connections, 1 KiB bodies"),
    _http("h1-64k", "--conns 64 --path /64k", "64 keep-alive connections, 64 KiB bodies"),
    _http("h1-1k-c1000", "--conns 1000 --path /1k", "1,000 keep-alive connections, 1 KiB bodies"),
    _http("h1-close", "--conns 64 --path /0 --close", "a connection for each request"),
    _http("h1-rate5k", "--conns 64 --path /1k --rate 5000 --warm 1", "1 KiB bodies at 5,000 requests/s"),
    _http("h1-rate20k", "--conns 64 --path /1k --rate 20000 --warm 1", "1 KiB bodies at 20,000 requests/s"),
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
MEMORY, ALLOCATIONS = "memory", "allocations"
ALL = [*CPU, MEMORY, ALLOCATIONS]
