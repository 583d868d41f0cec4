"""The cases of the Autobahn suite by kosoku, through rosn to a real server: as good as without rosn, each of them."""

from kosoku import FailureError, run_fuzzingclient

from through.websocket import node_server, python_server

PROTOCOL = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
LARGE = ["9.*"]
# The first of each kind: a thousand messages take kosoku long. It does not do 13.2 and 13.5 to 13.7.
COMPRESSED = [
    "12.1.1", "12.1.2", "12.1.3", "12.1.11", "12.2.1", "12.3.1", "12.4.1", "12.5.1", "13.1.1", "13.3.1", "13.4.1",
]
PASSED = ("OK", "NON-STRICT", "INFORMATIONAL")


async def verdicts(port: int, cases: list[str]) -> dict:
    try:
        results = await run_fuzzingclient(f"ws://127.0.0.1:{port}", cases, concurrency=8)
    except FailureError as failure:
        results = failure.results
    return {result.case_id: result for result in results}


def passed(result) -> bool:
    return result.behavior.value in PASSED and result.behavior_close.value in PASSED


async def compare(setup, server, cases: list[str]):
    """What passes directly has to pass through rosn, which changes no byte."""
    async with server as port, setup.front(port) as front:
        direct, through = await verdicts(port, cases), await verdicts(front.port, cases)
    good, good_through = (sum(map(passed, results.values())) for results in (direct, through))
    if direct.keys() != through.keys() or len(direct) < len(cases) or good < 0.9 * len(direct):
        text = f"{len(direct)} cases directly, {len(through)} through rosn, {good} pass directly: too few"
        raise AssertionError(text)
    worse = {
        name: f"{got.behavior.value}, close {got.behavior_close.value}: {got.result} {got.result_close}"
        for name, got in through.items()
        if passed(direct[name]) and not passed(got)
    }
    if worse:
        raise AssertionError(f"worse than directly: {worse}")
    print(f"       {len(direct)} cases: {good} pass directly, {good_through} through rosn")


async def protocol_by_ws(setup):
    await compare(setup, node_server(setup), PROTOCOL)


async def protocol_by_websockets(setup):
    await compare(setup, python_server(), PROTOCOL)


async def large_by_ws(setup):
    await compare(setup, node_server(setup), LARGE)


async def compressed_by_ws(setup):
    await compare(setup, node_server(setup), COMPRESSED)


async def compressed_by_websockets(setup):
    await compare(setup, python_server(), COMPRESSED)


CASES = [protocol_by_ws, protocol_by_websockets, large_by_ws, compressed_by_ws, compressed_by_websockets]
