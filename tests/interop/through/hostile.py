"""Clients and servers that mean harm or know no better. After each case nothing of it is left in rosn."""

import asyncio
import contextlib

from harness import Origin, eventually, same
from through.websocket import python_client, python_server

UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
# What a client hides behind an upgrade that is not going to be.
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"


@contextlib.asynccontextmanager
async def client(front):
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    try:
        yield reader, writer
    finally:
        writer.close()


class Server:
    """Answers each request of a connection with the next of `answers`, and keeps all that it was sent."""

    def __init__(self, *answers: bytes, then=None):
        self.answers, self.then = answers, then
        self.requests, self.rest = [], b""

    async def __call__(self, reader, writer):
        try:
            for answer in self.answers:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(answer)
                await writer.drain()
        except asyncio.IncompleteReadError as error:
            self.rest += error.partial
        if self.then:
            await self.then(self, reader, writer)


async def collects(server, reader, writer):
    """After a switch: everything up to the end."""
    while data := await reader.read(65536):
        server.rest += data


def ok(body: bytes, *fields: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join([*lines, b"", body])


async def half_an_upgrade(setup):
    """Two hundred clients stop in the middle of the request, and go away one way or the other."""

    async def one(front, number):
        async with client(front) as (_, writer):
            writer.write(UPGRADE[: 1 + number % (len(UPGRADE) - 1)])
            await writer.drain()
            if number % 2:
                writer.transport.abort()

    async with Origin() as origin, setup.front(origin.port) as front:
        await asyncio.gather(*(one(front, number) for number in range(200)))
    same(origin.accepted, 0, "what the server saw of them")


async def byte_by_byte(setup):
    """A slow client is only slow."""
    server = Server(SWITCHED, then=collects)
    async with Origin(server) as origin, setup.front(origin.port) as front:
        async with client(front) as (reader, writer):
            for at in range(len(UPGRADE)):
                writer.write(UPGRADE[at : at + 1])
                await writer.drain()
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"bytes")
        await eventually(lambda: server.rest == b"bytes", 20)


async def server_never_answers(setup):
    """The clients have sent more than the request and wait in vain. Those that reset are done with; those that have
    only ended their side may be waiting still, and are answered when the time is over."""

    async def waits(reader, writer):
        while await reader.read(65536):
            pass

    async def one(front, number):
        async with client(front) as (reader, writer):
            writer.write(UPGRADE + b"too early" * (100 if number % 4 < 2 else 2000))
            await eventually(lambda: origin.accepted == 100, 20)
            if number % 2:
                writer.transport.abort()
            else:
                writer.write_eof()
                same((await reader.readuntil(b"\r\n\r\n"))[:12], b"HTTP/1.1 504")

    async with Origin(waits) as origin, setup.front(origin.port, timeout="5s") as front:
        await asyncio.gather(*(one(front, number) for number in range(100)))
        await eventually(lambda: origin.ended == 100, 20)


async def early_bytes_wait_for_the_101(setup):
    """Nothing that comes behind the request goes up before the server has switched."""
    released = asyncio.Event()
    seen = []

    async def late(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        # What would be here, were it sent on, would have come with the request or right behind it.
        with contextlib.suppress(TimeoutError):
            seen.append(await asyncio.wait_for(reader.read(1), 1))
        released.set()
        writer.write(SWITCHED)
        seen.append(await reader.readexactly(len(HIDDEN)))

    async with Origin(late) as origin, setup.front(origin.port) as front:
        async with client(front) as (reader, writer):
            writer.write(UPGRADE + HIDDEN)
            await reader.readuntil(b"\r\n\r\n")
            await eventually(lambda: len(seen) == 2, 20)
    same(seen[1:], [HIDDEN])


async def refusal_with_hidden_request(setup):
    """The server refuses the switch: what follows is HTTP, or nothing. It is not passed on unseen by rosn."""
    server = Server(ok(b"no"), ok(b"hidden"), ok(b"more"))
    async with Origin(server) as origin, setup.front(origin.port) as front:
        async with client(front) as (reader, writer):
            writer.write(UPGRADE + HIDDEN)
            answer = await reader.read(-1)
            same(answer.count(b"HTTP/1.1 200 OK"), answer.count(b"\r\n\r\n"), "the number of answers")
            same(answer[:15], b"HTTP/1.1 200 OK")
    hidden = [request for request in server.requests if b"/hidden" in request]
    # Either way it has been read as a request by rosn, and so goes up as one.
    same((len(server.requests) - 1, server.rest), (len(hidden), b""))


async def switch_that_nobody_asked_for(setup):
    """A 101 in answer to an ordinary request, and one to another protocol."""
    asked = [b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", UPGRADE.replace(b"websocket", b"chat", 1)]
    for request in asked:
        server = Server(SWITCHED + b"bytes of the server", then=collects)
        async with Origin(server) as origin, setup.front(origin.port) as front:
            async with client(front) as (reader, writer):
                writer.write(request)
                same((await reader.readuntil(b"\r\n\r\n"))[:12], b"HTTP/1.1 502")
            await eventually(lambda: origin.ended, 20)
        same(server.rest, b"")


async def slow_reader(setup):
    """A server that sends without end to a client that does not read: memory stays where it is."""
    chunk = bytes(1 << 16)
    sent = 0

    async def floods(reader, writer):
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCHED)
        with contextlib.suppress(OSError):
            while True:
                writer.write(chunk)
                await writer.drain()
                sent += len(chunk)

    async def stands_still():
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.5)

    async with Origin(floods) as origin, setup.front(origin.port) as front:
        async with contextlib.AsyncExitStack() as open_ones:
            clients = [await open_ones.enter_async_context(client(front)) for _ in range(20)]
            memory = front.rosn.memory()
            for _, writer in clients:
                writer.write(UPGRADE)
            await eventually(lambda: origin.accepted == 20, 20)
            await asyncio.wait_for(stands_still(), 60)
            grown = front.rosn.memory() - memory
            if grown > 32 << 20:
                raise AssertionError(f"{grown} bytes more for 20 clients that do not read")
            for _, writer in clients:
                writer.transport.abort()
        await eventually(lambda: origin.ended == 20, 20)


async def sockets_open_and_close(setup):
    """Five hundred WebSockets at once, closed in four ways, twice."""

    async def one(front, number):
        socket = await python_client(setup, front, "/echo", compression=None, open_timeout=60)
        await socket.send(f"number {number}")
        same(await socket.recv(), f"number {number}")
        await arrived.wait()
        match number % 4:
            case 0:
                await socket.close()
            case 1:
                socket.transport.abort()
            case 2:
                await socket.send("close me")
                await socket.wait_closed()
            case 3:
                await socket.send("drop me")
                await socket.wait_closed()

    async def all_there(front):
        while True:
            total = await front.rosn.connections()
            if total["downstream"] == 500 and await front.rosn.counted("tunnel_active") >= 500:
                return arrived.set()
            await asyncio.sleep(0.02)

    async with python_server() as port, setup.front(port) as front:
        for _ in range(2):
            arrived = asyncio.Event()
            seeing = asyncio.create_task(all_there(front))
            await asyncio.gather(seeing, *(one(front, number) for number in range(500)))


async def resets_in_the_middle(setup):
    """Either side resets while both send."""

    async def echoes_and_resets(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCHED)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                if b"reset" in data:
                    writer.transport.abort()
                    return

    async def one(front, number):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with client(front) as (reader, writer):
                writer.write(UPGRADE)
                await reader.readuntil(b"\r\n\r\n")
                for _ in range(20):
                    writer.write(bytes(65536))
                await reader.readexactly(65536)
                if number % 2:
                    writer.transport.abort()
                else:
                    writer.write(b"reset")
                    await reader.read(-1)

    async with Origin(echoes_and_resets) as origin, setup.front(origin.port) as front:
        await asyncio.gather(*(one(front, number) for number in range(100)))
        await eventually(lambda: origin.ended == 100, 20)


CASES = [
    half_an_upgrade, byte_by_byte, server_never_answers, early_bytes_wait_for_the_101, refusal_with_hidden_request,
    switch_that_nobody_asked_for, slow_reader, sockets_open_and_close, resets_in_the_middle,
]

for case in CASES:
    case.needs_rosn = True
