#!/usr/bin/env python3
"""mKCP over a bad network: rosn and v2ray in one run.

    python3 bench/lossy.py --rosn target/release/rosn

Between the two ends of a tunnel a relay (`lg relay`) drops 5 % of all datagrams and holds back each for 50 ms, in both
directions, by a seeded random number generator. 50 MiB are downloaded and compared. (A relay, and not netem, because
that needs a module of the kernel that many machines lack.)
"""
import argparse
import asyncio
import hashlib
import json
import random
import subprocess
import tempfile
import time
from pathlib import Path

from harness.peers import LG

SIZE = 50 << 20
DATA = random.Random(11).randbytes(1 << 20) * (SIZE >> 20)
ORIGIN, ENTRY, RELAY, MIDDLE = 22100, 22101, 22102, 22103
SETTINGS = {
    "mkcp": {"mtu": 1350, "tti": 20, "uplinkCapacity": 50, "downlinkCapacity": 100, "congestion": False},
    "mkcp-default": {},
    "mkcp-congestion": {"mtu": 1350, "tti": 20, "uplinkCapacity": 50, "downlinkCapacity": 100, "congestion": True},
}


def rosn_config(folder, settings, address, to, side):
    listener = {"name": "tunnel", "address": f"127.0.0.1:{address}", "bind_port": True,
                "filter_chains": [{"filters": [{"type": "tcp_proxy", "config": {"cluster": "to"}}]}]}
    cluster = {"name": "to", "hosts": [{"address": f"127.0.0.1:{to}"}]}
    {"dialer": cluster, "listener": listener}[side]["stream_settings"] = settings
    (folder / side).mkdir(exist_ok=True)
    return {"servers": [{"default_log_path": f"{folder}/{side}.log", "processor": 1, "listeners": [listener]}],
            "cluster_manager": {"clusters": [cluster]}, "pid": f"{folder}/{side}.pid", "uds_dir": f"{folder}/{side}"}


def v2ray_config(settings, address, to, side):
    inbound = {"listen": "127.0.0.1", "port": address, "protocol": "dokodemo-door",
               "settings": {"address": "127.0.0.1", "port": to, "network": "tcp"}}
    outbound = {"protocol": "freedom", "settings": {"redirect": f"127.0.0.1:{to}"}}
    {"dialer": outbound, "listener": inbound}[side]["streamSettings"] = settings
    return {"log": {"loglevel": "warning"}, "inbounds": [inbound], "outbounds": [outbound]}


async def origin(reader, writer):
    try:
        await reader.readexactly(1)
        writer.write(DATA)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def download(program, settings, options, folder) -> float:
    """MiB/s of one download."""
    stream = {"network": "mkcp", "kcpSettings": settings}
    ends = []
    for side, address, to in (("listener", MIDDLE, ORIGIN), ("dialer", ENTRY, RELAY)):
        path = folder / f"{program}-{side}.json"
        if program == "rosn":
            path.write_text(json.dumps(rosn_config(folder, stream, address, to, side)))
            command = [options.rosn, "start", "-c", str(path)]
        else:
            path.write_text(json.dumps(v2ray_config(stream, address, to, side)))
            command = [options.v2ray, "-config", str(path)]
        ends.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    command = [str(LG), "relay", "--port", str(RELAY), "--addr", f"127.0.0.1:{MIDDLE}", "--loss", str(options.loss),
               "--delay", str(options.delay)]
    ends.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
    try:
        await asyncio.sleep(1)
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", ENTRY)
        writer.write(b"x")
        got = await asyncio.wait_for(reader.readexactly(SIZE), 300)
        took = time.monotonic() - began
        if hashlib.sha256(got).digest() != hashlib.sha256(DATA).digest():
            raise SystemExit(f"{program}: the bytes are not those that were sent")
        writer.close()
        return SIZE / took / (1 << 20)
    finally:
        for end in ends:
            end.terminate()
        for end in ends:
            end.wait(10)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rosn", default="target/release/rosn")
    parser.add_argument("--v2ray", default="v2ray")
    parser.add_argument("--loss", type=float, default=5, help="per cent, in each direction")
    parser.add_argument("--delay", type=int, default=50, help="milliseconds, in each direction")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rosn-lossy-"))
    server = await asyncio.start_server(origin, "127.0.0.1", ORIGIN)
    print(f"| {options.loss:g} % loss, {options.delay:g} ms each way | v2ray MiB/s | rosn MiB/s | rosn / v2ray |\n| --- | --- | --- | --- |")
    for name, settings in SETTINGS.items():
        rates = {"v2ray": [], "rosn": []}
        for _ in range(options.rounds):
            for program, found in rates.items():
                found.append(await download(program, settings, options, folder))
        v2ray, rosn = (sum(found) / len(found) for found in rates.values())
        print(f"| {name} | {v2ray:.2f} | {rosn:.2f} | {rosn / v2ray:.2f} |", flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
