"""Calls of every kind, by grpcio, with rosn between its client and its server."""

import asyncio
import contextlib
import dataclasses
import functools
import os

import grpc
from harness import eventually, same
from over_grpc.servers import DETAILS, Server, channel


def alone(case, tls=False, **more):
    """A case with a server and a client of its own. What it has in hand is gone before rosn has to settle."""
    @functools.wraps(case)
    async def run(setup):
        async with Server(setup.folder, tls) as server, setup.front(server.port, tls, **more) as front:
            async with channel(setup.folder, front.port, tls) as client:
                await case(server, client)
    return run


def both(case):
    """A case that is run over plain text, and over TLS on both sides."""
    runs = [alone(case), alone(case, tls=True)]
    for run, way in zip(runs, ("h2c", "TLS")):
        run.__name__ = f"{case.__name__} over {way}"
    return runs


@dataclasses.dataclass
class Status:
    """How a call has ended. An error itself would keep its connection open."""

    code: grpc.StatusCode
    details: str
    metadata: dict


async def status_of(call) -> Status:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return Status(error.code(), error.details(), dict(error.trailing_metadata()))
    raise AssertionError("the call went well")


def is_code(status: Status, code: str):
    same(status.code, getattr(grpc.StatusCode, code), f"the status ({status.details})")


@contextlib.asynccontextmanager
async def cancels(client):
    """The server gets to know that a call of the block was cancelled."""
    async def count():
        return int((await client.Cancelled(b"")).split()[0])

    before = await count()
    yield
    async with asyncio.timeout(20):
        while await count() == before:
            await asyncio.sleep(0.01)


async def unary(server, client):
    for size in (0, 1, 1000, 100_000):
        message = os.urandom(size)
        same(await client.Unary(message), message)


async def metadata_both_ways(server, client):
    """The order of values counts, that of names does not; and a server may put the values of a name together."""
    def ours(all_of_it):
        found = {}
        for key, value in all_of_it:
            if key.startswith("x-"):
                found[key] = f"{found[key]}, {value}" if key in found else value
        return found

    call = client.Metadata(b"", metadata=[("x-a", "1"), ("x-a", "2"), ("x-b-bin", b"\x00\xff,\n")])
    same(ours(await call.initial_metadata()), {"x-a": "1, 2", "x-b-bin": b"\x00\xff,\n"})
    await call
    same(ours(await call.trailing_metadata()), {"x-a-late": "1, 2", "x-b-late-bin": b"\x00\xff,\n"})


async def client_streaming(server, client):
    async def messages():
        for number in range(1000):
            yield b"x" * number
    same(await client.Collect(messages()), b"1000 499500")


async def server_streaming(server, client):
    got = [message async for message in client.Count(b"1000 100")]
    same(got, [b"%d" % number + b"." * 100 for number in range(1000)])


async def bidirectional_streaming(server, client):
    """Each message is answered before the next is sent: nothing may be held back."""
    call = client.Talk()
    for number in range(200):
        await call.write(b"%d" % number)
        same(await call.read(), b"%d" % number)
    await call.done_writing()
    same(await call.read(), grpc.aio.EOF)
    same(await call.code(), grpc.StatusCode.OK)


async def large_messages(server, client):
    message = os.urandom(12 << 20)
    same(await client.Unary(message), message)
    got = [message async for message in client.Count(b"8 1500000")]
    same([len(message) for message in got], [1500001] * 8)


async def errors_with_details(server, client):
    error = await status_of(client.Fail("no such thing: ü 100%\n".encode()))
    is_code(error, "NOT_FOUND")
    same(error.details, "no such thing: ü 100%\n")
    same(error.metadata.get(DETAILS[0]), DETAILS[1])


async def an_unknown_method(server, client):
    is_code(await status_of(client.Nothing(b"")), "UNIMPLEMENTED")


async def deadlines(server, client):
    async with cancels(client):
        is_code(await status_of(client.Hang(b"", timeout=0.5)), "DEADLINE_EXCEEDED")
    remaining = float((await client.Cancelled(b"")).split()[1])
    if not 0 < remaining < 0.51:  # grpcio rounds up
        raise AssertionError(f"the server was given {remaining} s")


async def the_deadline_of_a_stream(server, client):
    async with cancels(client):
        call = client.Watch(b"for ever", timeout=0.5)
        same(await call.read(), b"first")
        is_code(await status_of(call.read()), "DEADLINE_EXCEEDED")


async def cancelling(server, client):
    async with cancels(client):
        call = client.Watch(b"for ever")
        same(await call.read(), b"first")
        call.cancel()


async def a_client_that_goes_away(server, client):
    call = client.Watch(b"for ever")
    same(await call.read(), b"first")
    await client.channel.close()
    await eventually(lambda: server.cancelled)


async def many_calls_at_a_time(server, client):
    async def one(number):
        message = b"%d" % number * 100
        same(await client.Unary(message), message)
    await asyncio.gather(*(one(number) for number in range(1000)))
    same(server.calls, 1000)


async def streams_beside_each_other(server, client):
    """One that is not read must not stop the others."""
    stuck = client.Count(b"100 1000000")
    await stuck.read()
    for number in range(20):
        same(await client.Unary(b"%d" % number), b"%d" % number)
    stuck.cancel()


async def compression(setup):
    async with Server(setup.folder, False) as server, setup.front(server.port) as front:
        for kind in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            async with channel(setup.folder, front.port, False, compression=kind) as client:
                message = b"again and " * 10_000
                same(await client.Unary(message), message)


async def a_server_that_is_not_there(setup):
    async with Server(setup.folder, False) as gone:
        port = gone.port
    async with setup.front(port) as front, channel(setup.folder, front.port, False) as client:
        error = await status_of(client.Unary(b""))
        is_code(error, "UNAVAILABLE")
        same(error.details, "no connection to the upstream could be made")


async def a_server_that_dies_in_a_stream(server, client):
    call = client.Watch(b"for ever")
    same(await call.read(), b"first")
    await server.server.stop(None)
    error = await status_of(call.read())
    if error.code is grpc.StatusCode.OK:
        raise AssertionError("the stream ended as if it were whole")


async def a_cluster_that_is_not_there(setup):
    nowhere = {"cluster_name": "", "cluster_header": "x-cluster"}
    async with Server(setup.folder, False) as server, setup.front(server.port, http=nowhere) as front:
        async with channel(setup.folder, front.port, False) as client:
            error = await status_of(client.Unary(b""))
            is_code(error, "UNAVAILABLE")
            same(error.details, "the route names a cluster that does not exist")


async def retries_by_status(setup):
    policy = {"retry_policy": {"retry_on": True, "num_retries": 2, "grpc_status_codes": ["unavailable"]}}
    async with Server(setup.folder, False) as server, setup.front(server.port, http=policy) as front:
        async with channel(setup.folder, front.port, False) as client:
            server.unavailable = 2
            same(await client.Flaky(b"x"), b"x")
            same(server.calls, 3)
            server.unavailable = 3
            error = await status_of(client.Flaky(b"x"))
            is_code(error, "UNAVAILABLE")
            same((error.details, server.calls), ("come back later", 6))


async def a_silent_stream_outlives_the_timeout_of_the_route(server, client):
    call = client.Watch(b"")
    same(await call.read(), b"first")
    # What takes as long, and has not begun, is cut meanwhile: twice in a row.
    for _ in range(2):
        is_code(await status_of(client.Hang(b"")), "DEADLINE_EXCEEDED")
    server.release.set()
    same(await call.read(), b"second")
    same(await call.read(), grpc.aio.EOF)


async def draining_lets_calls_end(setup):
    async with Server(setup.folder, False) as server, setup.plain(server.port) as front:
        async with channel(setup.folder, front.port, False) as client:
            call = client.Watch(b"")
            same(await call.read(), b"first")
            front.rosn.terminate()
            await front.rosn.says("stopping")
            server.release.set()
            same(await call.read(), b"second")
            same(await call.read(), grpc.aio.EOF)
            same(await call.code(), grpc.StatusCode.OK)


async def health_checks(setup):
    check = {"protocol": "Grpc", "interval": "50ms", "initial_delay_seconds": "1ms", "timeout": "5s",
             "check_config": {"grpc_check_config": {"service": "interop.Echo"}}}
    for tls in (False, True):
        async with Server(setup.folder, tls) as server:
            await server.serving(True, "interop.Echo")
            async with setup.front(server.port, tls, cluster={"health_check": check, "panic_threshold": 0}) as front:
                await healthy(front.rosn, 1)
                await server.serving(False, "interop.Echo")
                await healthy(front.rosn, 0)
                async with channel(setup.folder, front.port, tls) as client:
                    is_code(await status_of(client.Unary(b"")), "UNAVAILABLE")
                    await server.serving(True, "interop.Echo")
                    await healthy(front.rosn, 1)
                    same(await client.Unary(b"x"), b"x")


async def healthy(rosn, count: int):
    """Waits until the endpoint was asked, and so many are healthy."""
    async with asyncio.timeout(20):
        while True:
            asked = await rosn.counted("healthcheck_attempt")
            if asked > 0 and await rosn.counted("upstream_membership_healthy") == count:
                return
            await asyncio.sleep(0.02)


async def counters_by_method(setup):
    filters = {"stream_filters": [{"type": "grpc_metric"}]}
    async with Server(setup.folder, False) as server, setup.front(server.port, listener=filters) as front:
        async with channel(setup.folder, front.port, False) as client:
            await client.Unary(b"")
            await status_of(client.Fail(b"x"))
            await status_of(client.Nothing(b""))

        async def counted():
            series = await front.rosn.metrics()
            return [series.get(f'grpc_{key}{{service="{name}"}}') for key, name in (
                ("response_succ_total", "/interop.Echo/Unary"), ("status_not_found", "/interop.Echo/Fail"),
                ("status_unimplemented", "other"))]

        async with asyncio.timeout(10):
            while await counted() != [1, 1, 1]:
                await asyncio.sleep(0.02)


for needs in (a_cluster_that_is_not_there, retries_by_status, health_checks, counters_by_method, draining_lets_calls_end,
              a_silent_stream_outlives_the_timeout_of_the_route, a_server_that_is_not_there):
    needs.needs_rosn = True

# These do with a client alone: the server may be any that has the service.
OF_ANY_SERVER = (
    unary, metadata_both_ways, client_streaming, server_streaming, bidirectional_streaming, large_messages,
    errors_with_details, an_unknown_method, deadlines, the_deadline_of_a_stream, cancelling, streams_beside_each_other,
)

CASES = [
    *(case for kind in (*OF_ANY_SERVER, a_client_that_goes_away, many_calls_at_a_time) for case in both(kind)),
    compression, a_server_that_is_not_there, alone(a_server_that_dies_in_a_stream), a_cluster_that_is_not_there, retries_by_status,
    alone(a_silent_stream_outlives_the_timeout_of_the_route, http={"timeout": "300ms"}), draining_lets_calls_end, health_checks, counters_by_method,
]
