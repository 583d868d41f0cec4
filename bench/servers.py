#!/usr/bin/env python3
"""Compares HTTP servers of programs: rosn-http's and hyper's; `cargo xtask bench --servers` builds what this needs.

The server is alone on CPU 0 with one thread, the generator on CPU 1. What is compared is the CPU time of the server's
process for each request, in this one run.
"""
import argparse
import json
import time

from harness import report
from harness.peers import BENCH, H2, HTTP, OUT, Peer
from harness.workloads import Workload
from run import compare, line

PROGRAM = BENCH / "client/target/release/client-bench"
SERVERS = [
    Peer(name, base, [str(PROGRAM), f"serve-{name}", "--port", str(base + HTTP)]) for name, base in [("hyper", 9100), ("rosn", 9200)]
]
WORKLOADS = [
    Workload("h1-1k", HTTP, "http --conns 64 --path /1k".split()),
    Workload("h2-1k", H2, "h2 --conns 4 --streams 100 --path /1k".split()),
]


def main() -> None:
    options = arguments()
    OUT.mkdir(exist_ok=True)
    name = time.strftime("servers-%Y%m%d-%H%M%S")
    records = []
    with open(OUT / f"{name}.jsonl", "w") as file:
        for record in compare(options, SERVERS, WORKLOADS):
            records.append(record)
            file.write(json.dumps(record) + "\n")
            print(line(record), flush=True)
    text = report.render(records, f"{options.rounds} rounds of {options.seconds:g} s, medians; one thread on one core.")
    (OUT / f"{name}.md").write_text(text)
    print(f"\n{text}\n{OUT}/{name}.md and .jsonl")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="length of a run")
    parser.add_argument("--retries", type=int, default=6, help="of a run that something else disturbed")
    parser.add_argument("--quiet", type=float, default=60, help="seconds to wait for both cores to be idle before a run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
