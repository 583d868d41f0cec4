"""CPU time of the proxy's processes for each request, or for each GiB."""
import json
import os
import resource
import subprocess
import time
from pathlib import Path

from .peers import GENERATOR_CPU, LG, Peer, Running, tree
from .workloads import Workload


def spent(pid: int) -> tuple[float, float]:
    """Seconds that a process tree has run, and has waited for a core."""
    ran = waited = 0
    for process in tree(pid):
        try:
            for task in os.listdir(f"/proc/{process}/task"):
                fields = Path(f"/proc/{process}/task/{task}/schedstat").read_text().split()
                ran, waited = ran + int(fields[0]), waited + int(fields[1])
        except OSError:
            pass  # it has ended meanwhile
    return ran / 1e9, waited / 1e9


def idle() -> list[float]:
    """Idle seconds of the two cores since the machine started."""
    seconds = {}
    for line in Path("/proc/stat").read_text().splitlines():
        fields = line.split()
        if fields[0] in ("cpu0", "cpu1"):
            seconds[fields[0]] = (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")
    return [seconds["cpu0"], seconds["cpu1"]]


def wait_until_quiet(longest: float) -> None:
    """Until both cores are idle for a second."""
    end = time.time() + longest
    while time.time() < end:
        before = idle()
        time.sleep(1)
        if all(after - start > 0.93 for start, after in zip(before, idle())):
            return


def measure(peer: Peer, proxy: Running, workload: Workload, seconds: float) -> dict:
    """One run of the generator against a proxy."""
    seconds += 1 if "--warm" in workload.arguments else 0
    command = ["taskset", "-c", GENERATOR_CPU, str(LG), *workload.arguments,
               "--addr", peer.address(workload.port), "--secs", str(seconds), "--with-backend"]
    if peer.hosts:
        command += ["--hosts", str(peer.hosts)]
    cpu, idled, own, start = spent(proxy.pid), idle(), children(), time.time()
    run = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 4 + 30)
    wall = time.time() - start
    if run.returncode != 0:
        raise RuntimeError(f"{workload.name} against {peer.name}: {run.stderr.strip()[-500:]}")
    result = json.loads(run.stdout)
    # the first handshakes are full ones
    if workload.resumed is not None and result["resumed"] < (result["requests"] - 16) * workload.resumed:
        raise RuntimeError(f"{workload.name} against {peer.name}: {result['resumed']} of {result['requests']} resumed")
    after, idled_after = spent(proxy.pid), idle()
    proxy_cpu, generator_cpu = after[0] - cpu[0], children() - own
    result.update(
        kind="cpu", peer=peer.name, workload=workload.name, time=start, wall=wall,
        proxy_share=proxy_cpu / wall, generator_share=generator_cpu / wall)
    if workload.bulk:
        result["cost"] = proxy_cpu / (result["bytes"] / 2**30)  # seconds per GiB
    else:
        result["cost"] = proxy_cpu * 1e6 / max(result["requests"], 1)  # microseconds per request
    busy = [1 - (end - begin) / wall for begin, end in zip(idled, idled_after)]
    result["noise"] = max(
        (after[1] - cpu[1]) / wall if len(tree(proxy.pid)) == 1 and not peer.tcp_command else 0,
        busy[0] - proxy_cpu / wall if proxy_cpu / wall > 0.92 else 0,
        busy[1] - generator_cpu / wall)
    return result


def children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
