"""Clients that mean harm. Whatever they send: rosn's memory is bounded, it comes to rest, it counts what it has
stopped, and another client, which asks all the while, gets an answer to each request."""

import asyncio
import contextlib
import functools
import json
import sys

from over_http2.attacks import ATTACKS
from over_http2.servers import nginx, origin
from through.programs import HERE, killed, output

MIB = 1 << 20
ATTACKERS = 2
# At most so much more memory while it lasts, and so long until there is rest again.
MEMORY = 64 * MIB
REST = 20
# What ends a connection, and what is counted then. What is not here is no harm as long as it slows down nobody but who
# does it.
FLOOD, ERROR = "http2_flood_total", None
ENDED = {
    "rapid_reset": FLOOD, "made_you_reset_by_overflow": FLOOD, "made_you_reset_by_length": FLOOD,
    "malformed_requests": FLOOD, "continuation": FLOOD, "continuation_of_nothing": FLOOD,
    "continuation_of_one_field": FLOOD, "empty_data": FLOOD, "padding": FLOOD, "hpack_bomb": FLOOD,
    "many_streams": FLOOD, "made_you_reset": ERROR, "reset_of_idle": ERROR, "empty_headers": ERROR,
    "empty_names": ERROR, "window_overflow": ERROR,
}


async def attack(name: str, setup):
    async with origin(setup, "h2c" if setup.direct else "http1") as to, nginx(setup) as well:
        if setup.direct:
            async with attackers(name, to) as outcomes:
                print(f"       {outcomes[0]}")
            return
        attacked, other = setup.end(to), setup.end(well)
        async with setup.rosn(attacked, other) as rosn:
            await asks(setup, other.port, 100)  # so that what is made once is there
            metrics, memory, processor = await rosn.metrics(), rosn.memory(), rosn.processor()
            watch = asyncio.create_task(Watch(rosn).watches())
            asking = asyncio.create_task(asks(setup, other.port, 200, "--rps", "50"))
            async with attackers(name, attacked.port) as outcomes:
                times = await asking
                processor = rosn.processor() - processor
                await rests(rosn)
                watch.cancel()
                grown = Watch.most - memory
                judge(name, outcomes, grown, metrics, await rosn.metrics())
            print(f"       {summary(outcomes)}; {grown / MIB:.1f} MiB, {processor:.2f} s of processor; the other's "
                  f"p50 {at(times, 0.5):.1f} ms, p99 {at(times, 0.99):.1f} ms, worst {times[-1]:.1f} ms")


class Watch:
    """Looks at the memory while it lasts."""

    most = 0

    def __init__(self, rosn):
        self.rosn = rosn
        Watch.most = 0

    async def watches(self):
        while True:
            Watch.most = max(Watch.most, self.rosn.memory())
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def attackers(name: str, port: int):
    """What has become of each. Their connections are open until the block ends, unless rosn has ended them."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, HERE / "over_http2/attacks.py", name, port]
    async with contextlib.AsyncExitStack() as stack:
        processes = []
        for _ in range(ATTACKERS):
            process = await asyncio.create_subprocess_exec(*map(str, command), stdin=pipe, stdout=pipe)
            processes.append(await stack.enter_async_context(killed(process)))
        lines = await asyncio.wait_for(asyncio.gather(*(process.stdout.readline() for process in processes)), 60)
        yield [json.loads(line) for line in lines]


async def asks(setup, port: int, count: int, *more) -> list[float]:
    """Another client: each request has its answer. How many milliseconds each took, the shortest first."""
    log = setup.folder.path / f"requests-{port}"
    log.unlink(missing_ok=True)
    command = ["h2load", "-c", "2", "-m", "4", "-n", count, "--log-file", log, *more, f"http://127.0.0.1:{port}/"]
    said = (await output(*command)).decode()
    if f"{count} succeeded, 0 failed, 0 errored, 0 timeout" not in said or f"{count} 2xx" not in said:
        raise AssertionError(f"the other client: {said[said.find('finished in'):]}")
    return sorted(int(line.split()[2]) / 1000 for line in log.read_text().splitlines())


def at(times: list[float], part: float) -> float:
    """What that part of them is not above."""
    return times[int(len(times) * part)]


async def rests(rosn):
    """It has nothing to do while nobody sends."""
    async with asyncio.timeout(REST):
        while True:
            before = rosn.processor()
            await asyncio.sleep(0.5)
            if rosn.processor() - before < 0.1:
                return


def judge(name: str, outcomes, grown: int, before, after):
    if grown > MEMORY:
        raise AssertionError(f"{grown / MIB:.1f} MiB more")
    for outcome in outcomes:
        if name in ENDED and not outcome["closed"] and outcome["goaway"] is None:
            raise AssertionError(f"the connection goes on: {outcome}")
    wanted = ENDED.get(name)
    risen = [series for series in after if after[series] > before.get(series, 0)]
    if wanted and not any(series.partition("{")[0].endswith(wanted) for series in risen):
        raise AssertionError(f"{wanted} has not risen: {outcomes}, {risen}")


def summary(outcomes) -> str:
    def one(outcome):
        end = "open"
        if outcome["stuck"]:
            end = "no longer read"
        if outcome["goaway"] is not None:
            end = f"GOAWAY {outcome['goaway']}"
        elif outcome["closed"]:
            end = "closed"
        return f"{end} after {outcome['sent']:,} bytes, {sum(outcome['resets'].values())} resets"

    return "; ".join(one(outcome) for outcome in outcomes)


def case(name: str):
    one = functools.partial(attack, name)
    one.__name__ = name
    return one


CASES = [case(name) for name in ATTACKS]
