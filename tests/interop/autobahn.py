#!/usr/bin/env python3
"""The WebSockets of rosn against the cases of the Autobahn test suite, as the package kosoku has them.

    python3 tests/interop/autobahn.py --rosn target/release/rosn [CASE...]

The cases are run against a listener, with an echo server behind it, and against a dialer, before which somebody echoes.
The transport carries bytes, so not every case can pass to the letter: RULES says which may differ, how, and why.

    kosoku --ws--> [rosn: ws listener | tcp] --> echo         echo --tcp--> [rosn: tcp listener | ws dialer] --ws--> kosoku
"""

import argparse
import asyncio
import contextlib

from kosoku import FailureError, run_fuzzingclient, run_fuzzingserver

from harness import End, Folder, Origin, Rosn, conclude, echo, shortened

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


async def against_listener(options, folder):
    """kosoku is the client."""
    async with Origin() as origin, Rosn(options.rosn, folder.path, [end := End(origin.port, {"network": "ws"})]):
        try:
            return await run_fuzzingclient(f"ws://127.0.0.1:{end.port}", options.cases, concurrency=options.at_once)
        except FailureError as failure:  # some differ always
            return failure.results


async def against_dialer(options, folder, count: int):
    """kosoku is the server. It says in the path which case is meant, and that is in the settings: a cluster for each."""
    async with run_fuzzingserver(options.cases, port=0) as server:
        paths = [f"/runCase?case={number}&agent=rosn" for number in range(1, count + 1)]
        paths.append("/updateReports?agent=rosn")
        ends = [End(server.port, dials={"network": "ws", "wsSettings": {"path": path}}) for path in paths]
        at_once = asyncio.Semaphore(options.at_once)

        async def run(end: End):
            # Where kosoku breaks the rules at once, there is a reset.
            async with at_once:
                with contextlib.suppress(OSError):
                    await echo(*(streams := await asyncio.open_connection("127.0.0.1", end.port)))
                    streams[1].close()

        async with Rosn(options.rosn, folder.path, ends):
            *cases, last = ends
            await asyncio.gather(*(run(end) for end in cases))
            await run(last)
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
    folder = Folder("autobahn")
    ran = await asyncio.wait_for(against_listener(options, folder), 300)
    failures = report("listener", ran)
    dialed = await asyncio.wait_for(against_dialer(options, folder, len(ran)), 300)
    failures += report("dialer", dialed)
    if len(dialed) != len(ran):
        failures += 1
        print(f"FAILED the dialer ran {len(dialed)} cases of {len(ran)}")
    passed = len(ran) + len(dialed) - failures
    conclude(folder, passed, failures)


if __name__ == "__main__":
    asyncio.run(main())
