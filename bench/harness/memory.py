"""Memory of an idle keep-alive connection, each peer in a fresh process."""
import subprocess
import time
from pathlib import Path

from .peers import GENERATOR_CPU, HTTP, LG, Peer, start_backend, start_peer, tree


def resident(pid: int) -> int:
    """KiB that a process tree holds in memory; a page shared by n processes counts for 1/n of it."""
    total = 0
    for process in tree(pid):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def measure(peer: Peer, connections: int) -> dict:
    """KiB for each of `connections` idle connections that have had one response each."""
    backend = start_backend()
    holder = proxy = None
    try:
        proxy = start_peer(peer, HTTP)
        time.sleep(1)
        before = resident(proxy.pid)
        command = ["taskset", "-c", GENERATOR_CPU, str(LG), "idle",
                   "--addr", peer.address(HTTP), "--conns", str(connections)]
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
    return {"kind": "memory", "peer": peer.name, "connections": connections, "before_kib": before,
            "held_kib": held, "after_kib": after, "kib_per_connection": (held - before) / connections}
