#!/usr/bin/env python3
"""Compares proxies side by side; `cargo xtask bench` builds what this needs and calls it.

The proxy under test is alone on CPU 0 with one worker; generator and backend are one process on CPU 1.
"""
import argparse
import json
import platform
import resource
import signal
import sys
import time
from pathlib import Path

from harness import allocations, cpu, memory, report, routes
from harness.peers import OUT, Peer, Running, known, other_rosn, start_peer
from harness.workloads import ALL, ALLOCATIONS, CPU, MEMORY, Workload

DEFAULT_PEERS = "nginx,haproxy,haproxy-splice,envoy,pingora"


def main() -> None:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` stops the peers
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    peers = known(options.rosn)
    chosen = [peers[name] for name in options.peers] + ([peers["rosn"]] if options.rosn else [])
    chosen += [other_rosn(options.rosn_b)] if options.rosn_b else []
    name = time.strftime("%Y%m%d-%H%M%S")
    records: list[dict] = []
    with open(OUT / f"{name}.jsonl", "w") as file:
        for record in everything(options, chosen):
            records.append(record)
            file.write(json.dumps(record) + "\n")
            file.flush()
            print(line(record), flush=True)
    text = report.render(records, conditions(options))
    (OUT / f"{name}.md").write_text(text)
    print(f"\n{text}\n{OUT}/{name}.md and .jsonl")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    words = lambda text: text.split(",") if text else []
    parser.add_argument("--peers", type=words, default=words(DEFAULT_PEERS), help=f"default {DEFAULT_PEERS}")
    parser.add_argument("--workloads", type=words, default=ALL, help=f"some of {','.join(ALL)}")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each workload and peer")
    parser.add_argument("--seconds", type=float, default=3, help="length of a run")
    parser.add_argument("--connections", type=lambda text: [int(word) for word in text.split(",")], default=[1000, 10_000],
                        help="of the memory workloads; default 1000,10000")
    parser.add_argument("--retries", type=int, default=6, help="of a run that something else disturbed")
    parser.add_argument("--quiet", type=float, default=60, help="seconds to wait for both cores to be idle before a run")
    parser.add_argument("--rosn", help="rosn's binary")
    parser.add_argument("--rosn-b", help="a second binary of rosn, to compare the first with")
    parser.add_argument("--rosn-system-allocator", help="rosn's binary built without jemalloc")
    options = parser.parse_args()
    unknown = [name for name in options.workloads if name not in ALL]
    unknown += [name for name in options.peers if name not in known(None)]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    return options


def everything(options: argparse.Namespace, peers: list[Peer]):
    plain = [CPU[name] for name in options.workloads if name in CPU and not CPU[name].routes]
    tables = [CPU[name] for name in options.workloads if name in CPU and CPU[name].routes]
    yield from compare(options, peers, plain)
    if tables and options.rosn:
        yield from compare(options, list(routes.peers(options.rosn).values()), tables)
    for kind in (MEMORY[name] for name in options.workloads if name in MEMORY):
        for number in options.connections:
            for peer in (peer for peer in peers if peer.serves(kind.port)):
                yield memory.measure(peer, kind, number)
    if ALLOCATIONS in options.workloads and options.rosn_system_allocator:
        yield from allocations.measure(options.rosn_system_allocator)


def compare(options: argparse.Namespace, peers: list[Peer], workloads: list[Workload]):
    """Peers take turns within each round, so that a machine that changes changes for all."""
    running: dict[tuple[str, ...], Running] = {}
    try:
        for workload in workloads:
            able = [peer for peer in peers if workload.suits(peer)]
            for peer in able:
                command = tuple(peer.command_for(workload.port))
                if command not in running:
                    running[command] = start_peer(peer, workload.port)
                cpu.measure(peer, running[command], workload, 1)  # warm-up
            for number in range(options.rounds):
                # the other way round in every second round, so that a drift favours nobody
                for peer in able[::-1] if number % 2 else able:
                    proxy = running[tuple(peer.command_for(workload.port))]
                    yield {**undisturbed(options, peer, proxy, workload), "round": number}
    finally:
        for proxy in running.values():
            proxy.stop()


def undisturbed(options: argparse.Namespace, peer: Peer, proxy: Running, workload: Workload) -> dict:
    """The first run without noise, or the least noisy of all tries."""
    best = None
    for _ in range(options.retries + 1):
        cpu.wait_until_quiet(options.quiet)
        result = cpu.measure(peer, proxy, workload, options.seconds)
        if best is None or result["noise"] < best["noise"]:
            best = result
        if best["noise"] < 0.04:
            break
    return best


def line(record: dict) -> str:
    if record["kind"] == "memory":
        return (f"{record['workload']:14} {record['peer']:16} {record['kib_per_connection']:8.2f} KiB for each of "
                f"{record['connections']} connections")
    if record["kind"] == "allocations":
        return f"allocations  {record['workload']:16} {record['per_request']:8.4f} for each request"
    rate = f"{record['rps']:8.0f} requests/s" if "rps" in record else f"{record['gbs']:8.2f} GB/s"
    unit = "us/request" if "rps" in record else "s/GiB"
    return (f"{record['workload']:14} {record['peer']:16} {record['cost']:8.3f} {unit:10} {rate} "
            f"errors {record['errors']} noise {record['noise']:.2f}")


def conditions(options: argparse.Namespace) -> str:
    model = next((text.split(":", 1)[1].strip() for text in Path("/proc/cpuinfo").read_text().splitlines()
                  if text.startswith("model name")), platform.machine())
    return (f"{time.strftime('%Y-%m-%d')}, {model}, Linux {platform.release()}; {options.rounds} rounds of "
            f"{options.seconds:g} s, medians; one worker on one core, access log off.")


if __name__ == "__main__":
    main()
