"""WebSockets between websockets of Python and ws of npm, each as client and as server."""

import asyncio
import contextlib
import http
import pathlib

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from harness import same
from through.programs import node, output, serving

MIB = 1 << 20
PAGE = pathlib.Path(__file__).resolve().parent.parent / "node" / "page.html"


@contextlib.asynccontextmanager
async def python_server():
    """A server that echoes, ends as it is told to, speaks first, or refuses; and has a page. Its port."""

    async def talk(peer):
        with contextlib.suppress(websockets.ConnectionClosed):
            await answer(peer)

    async def answer(peer):
        if peer.request.path == "/greets":
            await peer.send("welcome")
            await peer.send(b"g" * MIB)
        async for message in peer:
            if message == "close me":
                await peer.close(4002, "as asked")
            elif message == "drop me":
                peer.transport.abort()
            else:
                await peer.send(message)

    def before(peer, request):
        if request.path == "/page":
            response = peer.respond(http.HTTPStatus.OK, PAGE.read_text())
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "text/html; charset=utf-8"
            return response
        if request.path == "/forbidden":
            return peer.respond(http.HTTPStatus.UNAUTHORIZED, "not you")
        return None

    def after(peer, request, response):
        response.headers["X-Served-By"] = "websockets"

    def select(peer, offered):
        return "chat.v2" if "chat.v2" in offered else None

    options = {"max_size": None, "ping_interval": None, "select_subprotocol": select}
    async with serve(talk, "127.0.0.1", 0, process_request=before, process_response=after, **options) as server:
        yield next(iter(server.sockets)).getsockname()[1]


def python_client(setup, front, path, **options):
    context = {"ssl": setup.folder.client_context()} if front.tls else {}
    return connect(front.url("ws") + path, **{"max_size": None, "ping_interval": None, **context, **options})


async def python_talks(setup, front, served_by: str):
    """All that a client can want of a server; `node/talk.mjs` does the same."""
    async with python_client(setup, front, "/echo", subprotocols=["chat.v1", "chat.v2"]) as socket:
        same(socket.subprotocol, "chat.v2")
        same(socket.response.headers["X-Served-By"], served_by)
        for size in (0, 1, 125, 126, 65535, 65536, MIB):
            await socket.send(b"b" * size)
            same(await socket.recv(), b"b" * size)
        await socket.send("héllo")
        same(await socket.recv(), "héllo")
        await socket.send(["one,", "two,", "three"])
        same(await socket.recv(), "one,two,three")
        await (await socket.ping(b"are you there"))
        for number in range(200):
            await socket.send(f"number {number}")
        for number in range(200):
            same(await socket.recv(), f"number {number}")
        await socket.close(4001, "bye")
    same((socket.close_code, socket.close_reason), (4001, "bye"))

    for told, code in (("close me", 4002), ("drop me", 1006)):
        async with python_client(setup, front, "/echo") as socket:
            await socket.send(told)
            await socket.wait_closed()
        same(socket.close_code, code)

    async with python_client(setup, front, "/greets") as socket:
        same(await socket.recv(), "welcome")
        same(await socket.recv(), b"g" * MIB)

    try:
        async with python_client(setup, front, "/forbidden"):
            raise AssertionError("the server had refused, and the client is connected")
    except websockets.InvalidStatus as refused:
        same((refused.response.status_code, refused.response.body), (401, b"not you"))


async def node_talks(setup, front, served_by: str):
    out = await output(*node(setup, "talk.mjs", front.url("ws"), served_by))
    if int(out.split()[0]) < 200:
        raise AssertionError(f"ws did too little: {out!r}")


def node_server(setup, *arguments):
    return serving(*node(setup, "echo.mjs", *arguments))


async def websockets_to_websockets(setup):
    async with python_server() as port, setup.front(port) as front:
        await python_talks(setup, front, "websockets")


async def websockets_to_ws(setup):
    async with node_server(setup) as port, setup.front(port) as front:
        await python_talks(setup, front, "ws")


async def ws_to_websockets(setup):
    async with python_server() as port, setup.front(port) as front:
        await node_talks(setup, front, "websockets")


async def ws_to_ws(setup):
    async with node_server(setup) as port, setup.front(port) as front:
        await node_talks(setup, front, "ws")


async def over_TLS_to_rosn(setup):
    """Nothing can be spliced."""
    async with python_server() as port, setup.front(port, tls=True) as front:
        await python_talks(setup, front, "websockets")
        await node_talks(setup, front, "websockets")


async def only_websocket_is_allowed(setup):
    async with python_server() as port, setup.front(port, tunnel={"upgrade": ["websocket"]}) as front:
        await python_talks(setup, front, "websockets")


async def many_at_once(setup):
    """A hundred, each with messages both ways at the same time."""

    async def one(front, number):
        async with python_client(setup, front, "/echo", compression=None) as socket:
            data = number.to_bytes(2) * 16384

            async def send():
                for _ in range(20):
                    await socket.send(data)

            sending = asyncio.create_task(send())
            for _ in range(20):
                same(await socket.recv(), data)
            await sending

    async with node_server(setup, "plain") as port, setup.front(port) as front:
        await asyncio.gather(*(one(front, number) for number in range(100)))


CASES = [
    websockets_to_websockets, websockets_to_ws, ws_to_websockets, ws_to_ws, over_TLS_to_rosn,
    only_websocket_is_allowed, many_at_once,
]
