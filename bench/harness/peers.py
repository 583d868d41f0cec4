"""The proxies that are compared: how each is started, and where it listens.

Every peer has a base port. On 127.0.0.1 it listens on base+1 (HTTP/1.1), +2 (HTTP/2), +3 (TLS with ECDSA, both by
ALPN) and +6 (TLS with RSA), all to 9000; on +8 (HTTP/2 to 9001, which is HTTP/2); on +4 (TCP to 9002), +5 (TCP to 9000)
and +7 (TCP to 9003).
"""
import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
OUT = BENCH / "out"
LG = BENCH / "lg/target/release/lg"
PINGORA = BENCH / "pingora-peer/target/release/pingora-peer"

# the name of a second binary
OTHER = "rosn-b"

PROXY_CPU, GENERATOR_CPU = "0", "1"
HTTP, SOURCE, BACKEND, SINK = 1, 4, 5, 7
H2, TLS_ECDSA, TLS_RSA, H2_TO_H2 = 2, 3, 6, 8


@dataclass
class Peer:
    name: str
    base: int
    command: list[str]
    # a second process for TCP, where one process cannot be held to one thread for both
    tcp_command: list[str] | None = None
    env: dict[str, str] = field(default_factory=dict)
    # takes part in TCP workloads and tunnels only
    tcp_only: bool = False
    # takes no part in workloads of TLS and HTTP/2
    http1_only: bool = False
    # virtual hosts of its route table; the generator then names them
    hosts: int = 0

    def command_for(self, port: int) -> list[str]:
        return self.tcp_command if self.tcp_command and port != HTTP else self.command

    def serves(self, port: int) -> bool:
        if self.http1_only and port in (H2, TLS_ECDSA, TLS_RSA, H2_TO_H2):
            return False
        return not self.tcp_only or port in (SOURCE, BACKEND, SINK)

    def address(self, port: int) -> str:
        return f"127.0.0.1:{self.base + port}"


def known(rosn: str | None) -> dict[str, Peer]:
    """All peers by name; `rosn` is the binary, without which rosn is not among them."""
    peers = [
        Peer("nginx", 8100, ["nginx", "-c", f"{OUT}/nginx.conf"]),
        Peer("haproxy", 8200, ["haproxy", "-db", "-f", f"{OUT}/haproxy.cfg"]),
        Peer("envoy", 8300, [f"{OUT}/envoy", "-c", f"{BENCH}/conf/envoy.json", "--concurrency", "1",
                             "--disable-hot-restart", "--log-level", "error"]),
        Peer("pingora", 8400, [str(PINGORA), "h1"], tcp_command=[str(PINGORA), "l4"], http1_only=True),
        Peer("haproxy-splice", 8500, ["haproxy", "-db", "-f", f"{OUT}/haproxy-splice.cfg"], tcp_only=True),
    ]
    if rosn:
        peers.append(Peer("rosn", 8600, [rosn, "start", "-c", f"{BENCH}/conf/rosn.json"]))
    return {peer.name: peer for peer in peers}


def other_rosn(binary: str) -> Peer:
    """A second binary of rosn with the same configuration on other ports."""
    base, folder = 8900, OUT / OTHER
    folder.mkdir(exist_ok=True)
    config = json.loads((BENCH / "conf/rosn.json").read_text())
    for listener in config["servers"][0]["listeners"]:
        host, port = listener["address"].split(":")
        listener["address"] = f"{host}:{int(port) - 8600 + base}"
    config["metrics"]["sinks"][0]["config"]["port"] = base + 9
    (folder / "rosn.json").write_text(json.dumps({**config, "pid": f"{folder}/pid", "uds_dir": str(folder)}))
    return Peer(OTHER, base, [binary, "start", "-c", f"{folder}/rosn.json"])


class Running:
    """A started process, pinned to one core."""

    def __init__(self, name: str, command: list[str], cpu: str = PROXY_CPU, env: dict[str, str] | None = None):
        self.name = name
        with open(OUT / f"{name}.stderr", "wb") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", cpu, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                cwd=BENCH.parent, env={**os.environ, **(env or {})})
        self.pid = self.process.pid

    def wait_for(self, address: str) -> None:
        """Until `address` accepts; raises when the process ends before, or after half a minute."""
        host, port = address.split(":")
        for _ in range(300):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        log = (OUT / f"{self.name}.stderr").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self.name} does not listen on {address}:\n{log}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:  # Pingora drains for minutes
            for pid in reversed(tree(self.pid)):
                os.kill(pid, 9)
            self.process.wait()


def free(address: str) -> None:
    """Raises when something listens there already: it would be measured in the peer's place."""
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return
    raise RuntimeError(f"{address} is taken by another process: end it first")


def start_peer(peer: Peer, port: int) -> Running:
    free(peer.address(port))
    running = Running(peer.name, peer.command_for(port), env=peer.env)
    running.wait_for(peer.address(port))
    return running


def start_backend() -> Running:
    free("127.0.0.1:9000")
    running = Running("backend", [str(LG), "backend"], cpu=GENERATOR_CPU)
    running.wait_for("127.0.0.1:9000")
    return running


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    pids = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                pids += tree(int(child))
    except OSError:
        pass  # it has ended meanwhile
    return pids
