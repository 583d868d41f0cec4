"""Memory of an idle keep-alive connection, each peer in a fresh process for each kind and number of them."""
import subprocess
import time
from pathlib import Path

from .peers import GENERATOR_CPU, LG, Peer, start_backend, start_peer, tree
from .workloads import Idle


def resident(pid: int) -> int:
    """KiB that a process tree holds in memory; a page shared by n processes counts for 1/n of it."""
    total = 0
    for process in tree(pid):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def measure(peer: Peer, kind: Idle, connections: int) -> dict:
    """KiB for each of `connections` idle connections that have had one response each."""
    backend = start_backend()
    holder = proxy = None
    try:
        proxy = start_peer(peer, kind.port)
        time.sleep(1)
        before = resident(proxy.pid)
        command = ["taskset", "-c", GENERATOR_CPU, str(LG), "idle", *kind.arguments,
                   "--addr", peer.address(kind.port), "--conns", str(connections)]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if holder.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{peer.name} does not hold {connections} connections")
        time.sleep(2)  # what a proxy gives back, it gives back soon
        held = resident(proxy.pid)
        holder.stdin.close()
        holder.wait()
        time.sleep(2)
        after = resident(proxy.pid)
    finally:
        for process in (proxy, backend):
            if process:
                process.stop()
        if holder and holder.poll() is None:
            holder.kill()
    return {"kind": "memory", "peer": peer.name, "workload": kind.name, "connections": connections, "before_kib": before,
            "held_kib": held, "after_kib": after, "kib_per_connection": (held - before) / connections}
