#!/usr/bin/env python3
"""The WebSockets of rosn against the cases of the Autobahn test suite, as the package kosoku has them.

    python3 tests/interop/autobahn.py --rosn target/release/rosn [CASE...]

The cases are run against a listener, with an echo server behind it, and against a dialer, before which somebody echoes.
The transport carries bytes, so not every case can pass to the letter: RULES says which may differ, how, and why.

    kosoku --ws--> [rosn: ws listener | tcp] --> echo         echo --tcp--> [rosn: tcp listener | ws dialer] --ws--> kosoku
"""

import argparse
import asyncio
import json
import pathlib
import subprocess
import sys
import tempfile

from kosoku import FailureError, run_fuzzingclient, run_fuzzingserver

LISTENER, FIRST_ENTRY = 23600, 23601
PASSED = ("OK", "NON-STRICT", "INFORMATIONAL")


def literal(result) -> str | None:
    """As the suite sees it. NON-STRICT is what it says where nothing was echoed before the connection failed."""
    if result.behavior.value in PASSED and result.behavior_close.value in PASSED:
        return None
    return f"{result.behavior.value}, close {result.behavior_close.value}: {result.result} {result.result_close}"


def same_bytes(result) -> str | None:
    """To the letter; or the same bytes and the same pongs, and closed as it should be."""
    failed = literal(result)
    if failed is None:
        return None
    received = substance(result.received)
    expected = [substance(events) for verdict, events in (result.expected or {}).items() if verdict in PASSED]
    if received not in expected:
        return f"received {shortened(received)}, expected {shortened(expected)}"
    # The suite drops the connection where the message is not the expected one; then there is no Close to judge.
    dropped = result.dropped_by_me and not result.closed_by_me and result.remote_close_code is None
    if result.behavior_close.value in PASSED or (dropped and result.expected_close["closeCode"] == [1000]):
        return None
    return failed


def too_big(result) -> str | None:
    """One message is kept whole until its end has come, so there is a limit: 1 MiB."""
    return None if result.remote_close_code == 1009 else f"closed with {result.remote_close_code}, not 1009"


def not_agreed(result) -> str | None:
    """permessage-deflate was offered, and is not agreed on."""
    return None if result.behavior.value == "UNIMPLEMENTED" else f"{result.behavior.value}: {result.result}"


# The cases that are run: of those whose beginning fits, the longest counts.
RULES = {
    "1.": (same_bytes, "text comes back as binary, long messages in pieces; an empty message is no byte"),
    "2.": (literal, "pings and pongs are no bytes of the stream"),
    "3.": (same_bytes, "reserved bits fail the connection; what is echoed before that is binary"),
    "4.": (same_bytes, "reserved opcodes fail the connection; what is echoed before that is binary"),
    "5.": (same_bytes, "text comes back as binary; the order of fragments, and pings between them, are to the letter"),
    "6.": (same_bytes, "text comes back as binary; what is no UTF-8 fails the connection to the letter"),
    "7.": (literal, "closing"),
    "7.1.1": (same_bytes, "text comes back as binary"),
    "9.2.4": (too_big, "a message of 4 MiB; the other limits of 9.* measure time"),
    "9.4.1": (too_big, "the same in fragments of 64 bytes"),
    "9.8.2": (literal, "a thousand binary messages of 16 bytes, one after the other"),
    "9.8.6": (literal, "a thousand binary messages of 4 KiB, one after the other"),
    "10.": (same_bytes, "text comes back as binary, in pieces"),
    "12.1.1": (not_agreed, "no compression"),
    "13.1.1": (not_agreed, "no compression"),
}
CASES = [name + "*" if name.endswith(".") else name for name in RULES]


def judge(result) -> str | None:
    """Why a case has failed."""
    name = max((name for name in RULES if result.case_id.startswith(name)), key=len)
    return RULES[name][0](result)


def substance(events) -> tuple[bytes, list]:
    """The bytes of all messages, and everything else in its order."""
    messages = [event for event in events or [] if event[0] == "message"]
    text = b"".join(data.encode("latin-1" if is_binary else "utf-8") for _, data, is_binary in messages)
    return text, [event for event in events or [] if event[0] != "message"]


def shortened(thing) -> str:
    text = repr(thing)
    return text if len(text) < 200 else f"{text[:200]}... ({len(text)})"


def config(folder: pathlib.Path, ends: list[tuple]) -> pathlib.Path:
    """One process with these: port to listen on and its settings, port to dial and its settings."""
    listeners, clusters = [], []
    for number, (port, listener_settings, to, dialer_settings) in enumerate(ends):
        name = f"end {number}"
        proxy = {"type": "tcp_proxy", "config": {"cluster": name}}
        listeners.append({
            "name": name, "address": f"127.0.0.1:{port}", "bind_port": True, "stream_settings": listener_settings,
            "filter_chains": [{"filters": [proxy]}],
        })
        host = {"address": f"127.0.0.1:{to}"}
        clusters.append({"name": name, "stream_settings": dialer_settings, "hosts": [host]})
    server = {"default_log_path": "stdout", "default_log_level": "DEBUG", "listeners": listeners, "routers": []}
    path = folder / "rosn.json"
    path.write_text(json.dumps({
        "servers": [server], "cluster_manager": {"clusters": clusters}, "pid": str(folder / "rosn.pid"),
    }))
    return path


class Rosn:
    """A process for as long as the block runs."""

    def __init__(self, program: str, folder: pathlib.Path, ends: list[tuple]):
        self.command = [program, "start", "-c", str(config(folder, ends))]
        self.port = ends[0][0]
        self.log = folder / "rosn.log"

    async def __aenter__(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return self
            except OSError:
                await asyncio.sleep(0.05)
        self.process.kill()
        raise SystemExit(f"rosn does not listen on port {self.port}: see {self.log}")

    async def __aexit__(self, *_):
        self.process.terminate()
        try:
            await asyncio.to_thread(self.process.wait, 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit(f"rosn did not end within 10 s, so a connection is left: see {self.log}") from None
        if self.process.returncode:
            raise SystemExit(f"rosn ended with {self.process.returncode}: see {self.log}")


async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def against_listener(options, folder):
    """kosoku is the client."""
    origin = await asyncio.start_server(echo, "127.0.0.1", 0)
    to = origin.sockets[0].getsockname()[1]
    async with Rosn(options.rosn, folder, [(LISTENER, {"network": "ws"}, to, {})]):
        try:
            return await run_fuzzingclient(f"ws://127.0.0.1:{LISTENER}", options.cases, concurrency=options.at_once)
        except FailureError as failure:  # some differ always
            return failure.results
        finally:
            origin.close()


async def against_dialer(options, folder, count: int):
    """kosoku is the server. It says in the path which case is meant, and that is in the settings: a cluster for each."""
    async with run_fuzzingserver(options.cases, port=0) as server:

        def entry(number: int, path: str) -> tuple:
            settings = {"network": "ws", "wsSettings": {"path": path}}
            return (FIRST_ENTRY + number, {}, server.port, settings)

        ends = [entry(number, f"/runCase?case={number}&agent=rosn") for number in range(1, count + 1)]
        # Connecting to it runs no case, so it is also where the start is awaited.
        ends.insert(0, entry(0, "/getCaseCount"))
        ends.append(entry(count + 1, "/updateReports?agent=rosn"))
        at_once = asyncio.Semaphore(options.at_once)

        async def run(number: int):
            async with at_once:
                try:
                    await echo(*await asyncio.open_connection("127.0.0.1", FIRST_ENTRY + number))
                except OSError:  # where kosoku breaks the rules at once, there is a reset
                    pass

        async with Rosn(options.rosn, folder, ends):
            await asyncio.gather(*(run(number) for number in range(1, count + 1)))
            await run(count + 1)
            try:
                return await server.get_result()
            except FailureError as failure:
                return failure.results


def report(end: str, results) -> int:
    failures = 0
    for result in results:
        failed = judge(result)
        if failed:
            failures += 1
            print(f"FAILED {end} {result.case_id}: {failed}")
    to_the_letter = sum(literal(result) is None for result in results)
    print(f"{end}: {len(results)} cases, {to_the_letter} to the letter, {failures} failed", flush=True)
    return failures


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="cases or beginnings of them, such as 5.1 or 6.*; default: RULES")
    parser.add_argument("--rosn", default="target/release/rosn")
    parser.add_argument("--at-once", type=int, default=8, help="cases at a time")
    options = parser.parse_args()
    options.cases = options.cases or CASES
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rosn-autobahn-"))
    ran = await asyncio.wait_for(against_listener(options, folder), 300)
    failures = report("listener", ran)
    dialed = await asyncio.wait_for(against_dialer(options, folder, len(ran)), 300)
    failures += report("dialer", dialed)
    if len(dialed) != len(ran):
        failures += 1
        print(f"FAILED the dialer ran {len(dialed)} cases of {len(ran)}")
    passed = len(ran) + len(dialed) - failures
    if failures:
        print(f"log in {folder}")
    else:
        subprocess.run(["rm", "-r", str(folder)], check=True)
    print(f"{passed} passed, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    asyncio.run(main())
