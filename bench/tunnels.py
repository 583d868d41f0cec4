#!/usr/bin/env python3
"""Compares tunnels: rosn, v2ray and sing-box at both ends; `cargo xtask bench --tunnels` builds what this needs.

Both ends of a tunnel share CPU 0; generator and origin are one process on CPU 1. What is compared is the CPU time of
both ends together for each GiB, in this one run. sing-box has no bare tunnels: its bytes go through VLESS, which adds
a head to each connection and nothing to the rest.
"""
import argparse
import json
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from harness import cpu
from harness.peers import GENERATOR_CPU, LG, OUT

PROXY_CPU = "0"
ENTRY, MIDDLE = 22000, 22001
# Downloads are HTTP responses of 64 KiB, as a server that speaks first is not heard through QUIC.
PORTS = {"download": 9000, "upload": 9003}
RESPONSE = 64 << 10
USER = "b831381d-6324-4d53-ad4f-8cda48b30811"  # VLESS wants one
KCP = {"mtu": 1350, "tti": 20, "uplinkCapacity": 100, "downlinkCapacity": 100, "congestion": False,
       "readBufferSize": 4, "writeBufferSize": 4}


def transports(folder: Path) -> dict[str, tuple[dict, dict, dict | None]]:
    """For each name: v2ray's settings of the dialer and of the listener, and sing-box's transport."""
    show = {"certificates": [{"certificateFile": f"{folder}/leaf.crt", "keyFile": f"{folder}/leaf.key"}]}
    trust = {"serverName": "interop.test", "allowInsecure": True}

    def plain(settings):
        return settings, settings

    def tls(settings):
        return ({**settings, "security": "tls", "tlsSettings": trust},
                {**settings, "security": "tls", "tlsSettings": show})

    ws = {"network": "ws", "wsSettings": {"path": "/t"}}
    http = {"network": "http", "httpSettings": {"host": ["interop.test"], "path": "/t"}}
    return {
        "tcp": (*plain({"network": "tcp"}), {}),
        "tcp-tls": (*tls({"network": "tcp"}), {"tls": True}),
        "ws": (*plain(ws), {"transport": {"type": "ws", "path": "/t"}}),
        "ws-tls": (*tls(ws), {"tls": True, "transport": {"type": "ws", "path": "/t"}}),
        "h2": (*tls(http), {"tls": True, "transport": {"type": "http", "host": ["interop.test"], "path": "/t"}}),
        "quic": (*tls({"network": "quic", "quicSettings": {}}), {"tls": True, "transport": {"type": "quic"}}),
        "quic-aes": (*tls({"network": "quic", "quicSettings": {"security": "aes-128-gcm", "key": "k"}}), None),
        "mkcp": (*plain({"network": "mkcp", "kcpSettings": KCP}), None),
        "mkcp-seed": (*plain({"network": "mkcp", "kcpSettings": {**KCP, "seed": "s"}}), None),
    }


def rosn(folder: Path, settings: dict, address: int, to: int, side: str) -> dict:
    name = {"dialer": "cluster", "listener": "listener"}[side]
    listener = {"name": "tunnel", "address": f"127.0.0.1:{address}", "bind_port": True,
                "filter_chains": [{"filters": [{"type": "tcp_proxy", "config": {"cluster": "to"}}]}]}
    cluster = {"name": "to", "hosts": [{"address": f"127.0.0.1:{to}"}]}
    {"cluster": cluster, "listener": listener}[name]["stream_settings"] = settings
    server = {"default_log_path": f"{folder}/{side}.log", "processor": 1, "listeners": [listener]}
    return {"servers": [server], "cluster_manager": {"clusters": [cluster]}, "pid": f"{folder}/{side}.pid",
            "uds_dir": f"{folder}/{side}"}


def v2ray(settings: dict, address: int, to: int, side: str) -> dict:
    inbound = {"listen": "127.0.0.1", "port": address, "protocol": "dokodemo-door",
               "settings": {"address": "127.0.0.1", "port": to, "network": "tcp"}}
    outbound = {"protocol": "freedom", "settings": {"redirect": f"127.0.0.1:{to}"}}
    {"dialer": outbound, "listener": inbound}[side]["streamSettings"] = settings
    return {"log": {"loglevel": "warning"}, "inbounds": [inbound], "outbounds": [outbound]}


def sing_box(folder: Path, transport: dict, address: int, to: int, side: str, target: int) -> dict:
    transport = dict(transport)
    secure = transport.pop("tls", False)
    if side == "dialer":
        tls = {"enabled": True, "server_name": "interop.test", "insecure": True}
        inbound = {"type": "direct", "listen": "127.0.0.1", "listen_port": address, "network": "tcp",
                   "override_address": "127.0.0.1", "override_port": target}
        outbound = {"type": "vless", "server": "127.0.0.1", "server_port": to, "uuid": USER, **transport}
        end = outbound
    else:
        tls = {"enabled": True, "certificate_path": f"{folder}/leaf.crt", "key_path": f"{folder}/leaf.key"}
        inbound = {"type": "vless", "listen": "127.0.0.1", "listen_port": address, "users": [{"uuid": USER}], **transport}
        outbound = {"type": "direct"}
        end = inbound
    if secure:
        end["tls"] = tls
    return {"log": {"level": "warn"}, "inbounds": [inbound], "outbounds": [outbound]}


def commands(options, folder: Path, program: str, row: tuple, target: int) -> list[list[str]] | None:
    """How both ends are started, the listener first; None where the program has no such transport."""
    found = []
    for side, address, to in (("listener", MIDDLE, target), ("dialer", ENTRY, MIDDLE)):
        settings = row[0] if side == "dialer" else row[1]
        path = folder / f"{program}-{side}.json"
        if program == "rosn":
            (folder / side).mkdir(exist_ok=True)
            config, command = rosn(folder, settings, address, to, side), [options.rosn, "start", "-c", str(path)]
        elif program == "v2ray":
            config, command = v2ray(settings, address, to, side), [options.v2ray, "-config", str(path)]
        elif row[2] is None:
            return None
        else:
            config = sing_box(folder, row[2], address, to, side, target)
            command = [options.sing_box, "run", "-c", str(path)]
        path.write_text(json.dumps(config))
        found.append(["taskset", "-c", PROXY_CPU, "env", "GOMAXPROCS=1", *command])
    return found


def measure(pair: list[subprocess.Popen], direction: str, connections: int, seconds: float) -> dict:
    how = ["http", "--path", "/64k"] if direction == "download" else ["upload"]
    command = ["taskset", "-c", GENERATOR_CPU, str(LG), *how, "--addr", f"127.0.0.1:{ENTRY}", "--conns",
               str(connections), "--secs", str(seconds), "--with-backend"]
    before = sum(cpu.spent(end.pid)[0] for end in pair)
    run = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 4 + 30)
    if run.returncode:
        raise RuntimeError(run.stderr.strip()[-300:])
    used = sum(cpu.spent(end.pid)[0] for end in pair) - before
    result = json.loads(run.stdout)
    moved = result["requests"] * RESPONSE if direction == "download" else result["bytes"]
    return {"cost": used / (moved / 2**30) if moved else float("inf"), "rate": moved / seconds / 2**20}


def tunnel(options, folder: Path, program: str, row: tuple, direction: str) -> dict | None:
    """One run: starts both ends, warms them up, measures, ends them."""
    started = commands(options, folder, program, row, PORTS[direction])
    if started is None:
        return None
    pair = []
    try:
        for command in started:
            log = open(folder / f"{program}.out", "ab")
            pair.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
            time.sleep(0.7)
        wait_for_entry()
        measure(pair, direction, options.connections, 0.5)
        return measure(pair, direction, options.connections, options.seconds)
    finally:
        for end in pair:
            end.terminate()
        for end in pair:
            end.wait(10)


def wait_for_entry() -> None:
    """Until the dialing end listens."""
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", ENTRY), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def certificate(folder: Path) -> None:
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", "leaf.key", "-out", "leaf.crt", "-days", "30", "-subj", "/CN=interop.test", "-addext",
                    "subjectAltName=DNS:interop.test"], cwd=folder, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = lambda text: text.split(",")
    parser.add_argument("--rosn", default="target/release/rosn")
    parser.add_argument("--v2ray", default="v2ray")
    parser.add_argument("--sing-box", help="its binary; without it, it is left out")
    parser.add_argument("--transports", type=words, help="default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--quiet", type=float, default=20, help="seconds to wait for both cores to be idle before a run")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rosn-tunnels-"))
    certificate(folder)
    rows = transports(folder)
    programs = ["rosn", "v2ray"] + (["sing-box"] if options.sing_box else [])
    lines = ["| transport | direction | " + " | ".join(f"{name} s/GiB (MiB/s)" for name in programs) + " | rosn / v2ray |",
             "| --- | --- | " + "--- | " * (len(programs) + 1)]
    for name in options.transports or rows:
        for direction in PORTS:
            results = {program: [] for program in programs}
            for _ in range(options.rounds):
                for program in programs:
                    cpu.wait_until_quiet(options.quiet)
                    result = tunnel(options, folder, program, rows[name], direction)
                    if result:
                        results[program].append(result)
            lines.append(line(name, direction, results))
            print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    path = OUT / f"tunnels-{time.strftime('%Y%m%d-%H%M%S')}.md"
    path.write_text(text)
    print(f"\n{text}\n{path}")


def line(name: str, direction: str, results: dict[str, list[dict]]) -> str:
    costs, cells = {}, []
    for program, runs in results.items():
        if not runs:
            cells.append("-")
            continue
        costs[program] = statistics.median(run["cost"] for run in runs)
        cells.append(f"{costs[program]:.2f} ({statistics.median(run['rate'] for run in runs):.0f})")
    return f"| {name} | {direction} | " + " | ".join(cells) + f" | {costs['rosn'] / costs['v2ray']:.2f} |"


if __name__ == "__main__":
    main()
