"""Allocations for each request in the steady state.

rosn is run without jemalloc under a shim that counts the calls of the C library's allocator (alloc/count.c).
Two runs of different length on equally many connections are compared: what opening the connections costs is
in both, so the difference is what the requests cost.
"""
import struct
import subprocess
from pathlib import Path

from .peers import BENCH, GENERATOR_CPU, HTTP, LG, OUT, Peer, Running, free
from .workloads import CPU

COUNTED = ["h1-0", "h1-1k", "h1-64k", "l4-req"]
FEW, MANY = 20_000, 220_000


def measure(rosn: str) -> list[dict]:
    """`rosn` is a binary that uses the C library's allocator."""
    file = OUT / "allocations"
    file.unlink(missing_ok=True)
    peer = Peer("rosn", 8600, [rosn, "start", "-c", f"{BENCH}/conf/rosn.json"])
    # only the proxy itself may be counted, not the program that pins it
    command = ["env", f"LD_PRELOAD={OUT}/count.so", f"ALLOC_COUNT_FILE={file}", *peer.command]
    free(peer.address(HTTP))
    proxy = Running("rosn-counted", command)
    try:
        proxy.wait_for(peer.address(HTTP))
        if not file.exists() or _read(file)[0] < 100:
            raise RuntimeError(f"{rosn} does not allocate by the C library: build it without jemalloc")
        return [_count(peer, name, file) for name in COUNTED]
    finally:
        proxy.stop()


def _count(peer: Peer, name: str, file: Path) -> dict:
    workload = CPU[name]
    points = []
    for requests in (FEW, FEW, MANY):  # the first fills the pools
        start = _read(file)
        command = ["taskset", "-c", GENERATOR_CPU, str(LG), *workload.arguments, "--with-backend",
                   "--addr", peer.address(workload.port), "--requests", str(requests), "--secs", "120"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        points.append([after - before for before, after in zip(start, _read(file))])
    calls, size = ((many - few) / (MANY - FEW) for few, many in zip(points[1], points[2]))
    return {"kind": "allocations", "peer": "rosn", "workload": name, "per_request": calls, "bytes_per_request": size}


def _read(file: Path) -> tuple[int, int]:
    return struct.unpack("=QQ", file.read_bytes()[:16])
