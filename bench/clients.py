#!/usr/bin/env python3
"""Compares HTTP clients: rosn's, hyper-util's and reqwest; `cargo xtask bench --clients` builds what this needs.

The client is alone on CPU 0, the backend on CPU 1; with a runtime of two threads the client runs on both. What is compared
is the CPU time of the client's process for each request, in this one run.
"""
import argparse
import json
import statistics
import subprocess
import time
from itertools import product

from harness import cpu
from harness.peers import BENCH, OUT, PROXY_CPU, GENERATOR_CPU, start_backend

PROGRAM = BENCH / "client/target/release/client-bench"
CLIENTS = ["rosn", "hyper-util", "reqwest", "raw"]
# four connections of 100 streams
HTTP2, HTTP2_TASKS = "get-h2", "400"
RUNTIMES = {"current-thread": (0, PROXY_CPU), "2 threads": (2, f"{PROXY_CPU},{GENERATOR_CPU}")}


def main() -> None:
    options = arguments()
    OUT.mkdir(exist_ok=True)
    name = time.strftime("clients-%Y%m%d-%H%M%S")
    cells = [cell for request in options.requests for cell in product(
        [request], [HTTP2_TASKS] if request == HTTP2 else options.concurrency, options.runtimes)]
    records = []
    backend = start_backend()
    try:
        with open(OUT / f"{name}.jsonl", "w") as file:
            for number, cell in product(range(options.rounds), cells):
                # the other way round in every second round, so that a drift favours nobody
                for client in able(options, cell)[::-1] if number % 2 else able(options, cell):
                    record = {**undisturbed(options, backend.pid, client, *cell), "round": number}
                    records.append(record)
                    file.write(json.dumps(record) + "\n")
                    file.flush()
    finally:
        backend.stop()
    text = table(options, cells, records)
    (OUT / f"{name}.md").write_text(text)
    print(f"{text}\n{OUT}/{name}.md and .jsonl")


def able(options: argparse.Namespace, cell: tuple[str, str, str]) -> list[str]:
    """The clients that take part."""
    return [client for client in options.clients if not (cell[0] == HTTP2 and client == "raw")]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    words = lambda text: text.split(",")
    parser.add_argument("--clients", type=words, default=CLIENTS, help=f"default {','.join(CLIENTS)}")
    parser.add_argument("--requests", type=words, default=["get", "post", HTTP2], help=f"default get,post,{HTTP2}")
    parser.add_argument("--concurrency", type=words, default=["1", "32"], help="default 1,32; not of HTTP/2")
    parser.add_argument("--runtimes", type=words, default=list(RUNTIMES), help=f"default {','.join(RUNTIMES)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="length of a run")
    parser.add_argument("--retries", type=int, default=6, help="of a run that something else disturbed")
    parser.add_argument("--quiet", type=float, default=60, help="seconds to wait for both cores to be idle before a run")
    return parser.parse_args()


def undisturbed(options: argparse.Namespace, backend: int, *what: str) -> dict:
    """The first run without noise, or the least noisy of all tries."""
    best = None
    for _ in range(options.retries + 1):
        cpu.wait_until_quiet(options.quiet)
        result = measure(backend, options.seconds, *what)
        if best is None or result["noise"] < best["noise"]:
            best = result
        if best["noise"] < 0.04:
            break
    return best


def measure(backend: int, seconds: float, client: str, request: str, concurrency: str, runtime: str) -> dict:
    threads, cores = RUNTIMES[runtime]
    command = ["taskset", "-c", cores, str(PROGRAM), client, "--request", request, "--concurrency", concurrency,
               "--threads", str(threads), "--secs", str(seconds), "--addr", f"127.0.0.1:{9001 if request == HTTP2 else 9000}"]
    idled, own, served, start = cpu.idle(), cpu.children(), cpu.spent(backend)[0], time.time()
    run = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 4 + 30)
    wall = time.time() - start
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {run.stderr.strip()[-500:]}")
    busy = sum(wall - (end - begin) for begin, end in zip(idled, cpu.idle()))
    known = cpu.children() - own + cpu.spent(backend)[0] - served
    return {**json.loads(run.stdout), "client": client, "request": request, "concurrency": concurrency, "runtime": runtime,
            "noise": (busy - known) / wall}


def table(options: argparse.Namespace, cells: list[tuple[str, str, str]], records: list[dict]) -> str:
    """Medians, and the median over the rounds of rosn's ratio to each other client."""
    lines = ["| request | tasks | runtime | " + " | ".join(options.clients) + " |", "| --- " * (3 + len(options.clients)) + "|"]
    for cell in cells:
        costs = {client: [one["cost"] for one in records if (one["request"], one["concurrency"], one["runtime"]) == cell
                          and one["client"] == client] for client in options.clients}
        row = list(cell)
        for client, found in costs.items():
            if not found:
                row.append("")
                continue
            text = f"{statistics.median(found):.2f}"
            if client != "rosn" and "rosn" in costs:
                text += f" ({statistics.median(own / other for own, other in zip(costs['rosn'], found)):.2f})"
            row.append(text)
        lines.append("| " + " | ".join(row) + " |")
    noisy = sum(one["noise"] >= 0.04 for one in records)
    return ("CPU of the client in microseconds for each request; in brackets rosn's cost divided by that client's. "
            f"{options.rounds} rounds of {options.seconds:g} s; {noisy} of {len(records)} runs were disturbed.\n\n"
            + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
