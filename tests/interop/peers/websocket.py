"""The transport ws, and websockets at the other end; or a raw socket, where the order of bytes counts."""

import asyncio
import base64
import contextlib
import http
import os

import websockets
from websockets.asyncio.server import ServerConnection
from websockets.frames import Opcode

from harness import End, Origin, echo, echoes, eventually, reset, same, tunnel

MIB = 1 << 20
WS = {"network": "ws", "wsSettings": {"path": "/tunnel"}}
REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
)
# Of the key above; RFC 6455 1.3 has both.
ACCEPT = b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="


def settings(**more) -> dict:
    return {**WS, "wsSettings": {"path": "/tunnel", **more}}


def client(port: int, path="/tunnel", **options):
    return websockets.connect(f"ws://127.0.0.1:{port}{path}", **{"max_size": None, "ping_interval": None, **options})


def frame(opcode: int, payload: bytes, masked=True, last=True) -> bytes:
    """A short frame, with a mask of zeros."""
    head = bytes([(0x80 if last else 0) | opcode, (0x80 if masked else 0) | len(payload)])
    return head + (bytes(4) if masked else b"") + payload


async def received(socket, size: int) -> bytes:
    """So many bytes, from however many messages. All are binary."""
    data = b""
    while len(data) < size:
        message = await socket.recv()
        if not isinstance(message, bytes):
            raise AssertionError(f"a message is text: {message[:50]}")
        data += message
    return data


class Server:
    """A server that echoes bytes, and notes requests and pings."""

    def __init__(self, behaviour=None, **options):
        self.behaviour = behaviour or self.echo
        self.options = {"max_size": None, "ping_interval": None, **options}
        self.requests = []
        self.pings = 0

    async def __aenter__(self):
        outer = self

        class Connection(ServerConnection):
            def process_event(self, event):
                if getattr(event, "opcode", None) is Opcode.PING:
                    outer.pings += 1
                super().process_event(event)

        self.server = await websockets.serve(
            self.serve, "127.0.0.1", 0, create_connection=Connection, **self.options
        )
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def serve(self, socket):
        self.requests.append(socket.request)
        await self.behaviour(socket)

    @staticmethod
    async def echo(socket):
        async for message in socket:
            await socket.send(message)


async def listener_takes_messages(setup):
    """Text and binary, in fragments; pings between them; a mebibyte; and a close that both sides say."""
    async with Origin() as origin, setup.rosn(end := End(origin.port, WS)):
        async with client(end.port) as socket:
            same(socket.response.headers.get("Sec-WebSocket-Extensions"), None, "what was agreed on")
            await socket.send("grüße")
            await socket.send(["frag", "ments ", "of text"])
            await socket.send([b"frag", b"ments"])
            sent = "grüßefragments of textfragments".encode()
            same(await received(socket, len(sent)), sent)
            await (await socket.ping(b"are you there"))
            data = os.urandom(MIB)
            sending = asyncio.create_task(socket.send(data))
            same(await received(socket, MIB), data)
            await sending
            await socket.close(3001, "enough")
            same(socket.close_code, 3001, "the code that came back")
        await eventually(lambda: origin.ended == 1)


async def listener_speaks_tls(setup):
    async with Origin() as origin, setup.rosn(end := End(origin.port, setup.folder.shows(WS))):
        for alpn in (["http/1.1"], []):
            context = setup.folder.client_context(*alpn)
            url = f"wss://127.0.0.1:{end.port}/tunnel"
            async with websockets.connect(url, ssl=context, server_hostname="interop.test") as socket:
                await socket.send(b"hello")
                same(await received(socket, 5), b"hello")


async def listener_echoes_no_subprotocol(setup):
    """v2ray does not either; and a client goes on without."""
    async with Origin() as origin, setup.rosn(end := End(origin.port, WS)):
        async with client(end.port, subprotocols=["chat", "other"]) as socket:
            same(socket.subprotocol, None)
            await socket.send(b"hello")
            same(await received(socket, 5), b"hello")


async def listener_refuses_requests(setup):
    """Another path, method, version; no upgrade; no key."""
    plain = REQUEST.format(path="/tunnel", more="")
    wrong = [
        (REQUEST.format(path="/other", more=""), b"404"),
        (REQUEST.format(path="/tunnel/", more=""), b"404"),
        (plain.replace("GET", "POST"), b"405"),
        (plain.replace(": 13", ": 8"), b"400"),
        (plain.replace("WebSocket\r\n", "h2c\r\n"), b"400"),
        (plain.replace("dGhl", "dGh"), b"400"),
        (plain.replace("HTTP/1.1", "HTTP/1.0"), b"400"),
        ("\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        (REQUEST.format(path="/tunnel", more="X: " + "x" * 70000 + "\r\n"), b"431"),
    ]
    async with Origin() as origin, setup.rosn(end := End(origin.port, WS)):
        for request, status in wrong:
            async with tunnel(end.port) as (reader, writer):
                writer.write(request.encode())
                answer = await reader.readuntil(b"\r\n\r\n")
                same(answer.split()[1], status, f"the answer to {request[:60]!r}")
                if status == b"400" and b"sec-websocket-version: 13" not in answer.lower():
                    raise AssertionError(f"the answer does not say which version there is: {answer}")
                same(await reader.read(), b"", "what comes behind the answer")
        try:
            async with client(end.port, "/other"):
                raise AssertionError("a path was served")
        except websockets.InvalidStatus as error:
            same(error.response.status_code, 404)
        same(origin.accepted, 0, "the number of connections to the origin")


async def listener_takes_requests_in_pieces(setup):
    """Byte by byte; with frames behind the request; with a query."""
    async with Origin() as origin, setup.rosn(end := End(origin.port, WS)):
        async with tunnel(end.port) as (reader, writer):
            for byte in REQUEST.format(path="/tunnel?q=1", more="").encode():
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            same(ACCEPT in (await reader.readuntil(b"\r\n\r\n")).lower(), True, "that the key was answered")
        async with tunnel(end.port) as (reader, writer):
            head = REQUEST.format(path="/tunnel", more="").encode()
            writer.write(head + frame(1, b"glu", last=False) + frame(9, b"") + frame(0, b"ed"))
            await reader.readuntil(b"\r\n\r\n")
            same(await reader.readexactly(2), frame(10, b"", masked=False))
            same(await reader.readexactly(7), frame(2, b"glued", masked=False))


async def listener_takes_early_data(setup):
    """Behind the path or in a header. With Sec-WebSocket-Protocol it comes back, as browsers demand."""
    behind = settings(maxEarlyData=2048)
    header = settings(maxEarlyData=2048, earlyDataHeaderName="Sec-WebSocket-Protocol")
    other = settings(maxEarlyData=2048, earlyDataHeaderName="X-Early")
    data = b"early?>\xff data"
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    async with Origin() as origin:
        ends = [End(origin.port, listens) for listens in (behind, header, other)]
        async with setup.rosn(*ends):

            async def ask(end, path="/tunnel", more="", status=b"101", comes=data):
                async with tunnel(end.port) as (reader, writer):
                    writer.write(REQUEST.format(path=path, more=more).encode())
                    answer = await reader.readuntil(b"\r\n\r\n")
                    same(answer.split()[1], status, f"the answer at {path} with {more!r}")
                    if status == b"101":
                        writer.write(frame(2, b"late"))
                        sent = b""
                        while len(sent) < len(comes) + 4:
                            sent += (await reader.readexactly((await reader.readexactly(2))[1]))
                        same(sent, comes + b"late", "what came back")
                    return answer

            await ask(ends[0], "/tunnel" + text)
            await ask(ends[0], comes=b"")
            await ask(ends[0], "/tunnel*", status=b"400")
            await ask(ends[0], "/tunne", status=b"404")
            answer = await ask(ends[1], more=f"Sec-WebSocket-Protocol: {text}\r\n")
            same(f"sec-websocket-protocol: {text}\r\n".lower() in answer.decode().lower(), True, "that it came back")
            await ask(ends[1], comes=b"")
            await ask(ends[1], more="Sec-WebSocket-Protocol: a, b\r\n", status=b"400")
            answer = await ask(ends[2], more=f"x-early: {text}\r\n")
            same(text.encode() in answer, False, "that it came back")


async def listener_fails_connections(setup):
    """Which break the rules: with the code that says how; and the origin sees an end."""
    wrong = [
        (frame(2, b"x", masked=False), 1002),
        (frame(3, b"x"), 1002),
        (frame(0, b"x"), 1002),
        (frame(9, b"x", last=False), 1002),
        (frame(1, b"\xff"), 1007),
        (frame(1, b"\xc3", last=False) + frame(0, b"x"), 1007),
        (frame(8, b"\x03"), 1002),
        (frame(8, b"\x03\xed"), 1002),  # 1005 is for nobody to say
        (b"\xc2\x80\0\0\0\0", 1002),
        (b"\x82\xff" + (MIB + 1).to_bytes(8, "big") + bytes(4), 1009),
        (b"\x82\xff\xff" + bytes(11), 1009),
    ]
    async with Origin() as origin, setup.rosn(end := End(origin.port, WS)):
        for number, (frames, code) in enumerate(wrong, 1):
            async with tunnel(end.port) as (reader, writer):
                writer.write(REQUEST.format(path="/tunnel", more="").encode())
                await reader.readuntil(b"\r\n\r\n")
                writer.write(frames)
                first, _, *payload = await reader.readexactly(4)
                same((first & 15, int.from_bytes(bytes(payload))), (8, code), f"the answer to {frames[:12]!r}")
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                await eventually(lambda: origin.ended == number)


async def listener_passes_ends_on(setup):
    """Of the origin: Close; of the client without a Close: to the origin."""
    async with Origin() as origin, setup.rosn(end := End(origin.port, WS)):
        async with client(end.port) as socket:
            await socket.send(b"x")
            await received(socket, 1)
            socket.transport.abort()
            await eventually(lambda: origin.ended == 1)

        async def says_bye(reader, writer):
            await reader.read(1)
            writer.write(b"bye")

        origin.behaviour = says_bye
        async with client(end.port) as socket:
            await socket.send(b"x")
            same([message async for message in socket], [b"bye"])
            same(socket.close_code, 1000, "the code")
        origin.behaviour = reset
        async with client(end.port) as socket:
            await socket.send(b"x")
            with contextlib.suppress(websockets.ConnectionClosed):
                await socket.recv()
            same(socket.close_code, 1006, "the code")


async def listener_sends_pings(setup):
    async with Origin() as origin, setup.rosn(end := End(origin.port, settings(heartbeatPeriod=1))):
        async with tunnel(end.port) as (reader, writer):
            writer.write(REQUEST.format(path="/tunnel", more="").encode())
            await reader.readuntil(b"\r\n\r\n")
            for _ in range(2):
                same(await reader.readexactly(2), frame(9, b"", masked=False))
                writer.write(frame(10, b""))


async def listener_drains(setup):
    async with Origin() as origin, setup.rosn(end := End(origin.port, WS)) as rosn:
        async with client(end.port) as socket:
            await socket.send(b"before")
            await received(socket, 6)
            rosn.terminate()
            await rosn.says("stopping")
            await socket.send(b"after")
            same(await received(socket, 5), b"after")


async def dialer_says_what_settings_say(setup):
    headers = {"Host": "front.test", "User-Agent": "probe/1", "X-Other": "1"}
    async with Server() as server:
        end = End(server.port, dials=settings(path="/a%20b?c=d", headers=headers))
        default = End(server.port, dials={"network": "ws"})
        async with setup.rosn(end, default):
            for entry in (end, default):
                async with tunnel(entry.port) as stream:
                    await echoes(*stream, os.urandom(MIB))
        told, plain = server.requests
        same(told.path, "/a%20b?c=d", "the path")
        same({name: told.headers[name] for name in headers}, headers, "the headers")
        same(plain.path, "/", "the path")
        same(plain.headers["Host"], f"127.0.0.1:{server.port}", "the host")
        same("Sec-WebSocket-Extensions" in plain.headers, False, "that there is an extension")


async def dialer_speaks_tls(setup):
    context = setup.folder.server_context("http/1.1")
    async with Server(ssl=context) as server:
        end = End(server.port, dials=setup.folder.trusts(WS))
        other = End(server.port, dials=setup.folder.trusts(WS, serverName="other.test"))
        async with setup.rosn(end, other) as rosn:
            async with tunnel(end.port) as stream:
                await echoes(*stream, b"hello")
            async with tunnel(other.port) as (reader, _):
                with contextlib.suppress(ConnectionError):
                    same(await reader.read(), b"")
            await rosn.says("ws: TLS handshake with", f"127.0.0.1:{server.port}", "other.test")


async def dialer_takes_what_servers_send(setup):
    """Text, fragments, pings, an empty message; and then a Close."""

    async def behaviour(socket):
        await socket.send("grüße")
        await (await socket.ping())
        await socket.send(["frag", "", "ments"])
        await socket.send(b"")
        await socket.close(1001, "going away")

    async with Server(behaviour) as server:
        end = End(server.port, dials=WS)
        async with setup.rosn(end), tunnel(end.port) as (reader, _):
            same(await reader.read(), "grüßefragments".encode())


async def dialer_closes(setup):
    """A client that ends says Close, and still gets what the server says before it answers."""
    codes = []

    async def behaviour(socket):
        async for message in socket:
            await socket.send(message)
        codes.append(socket.close_code)

    async with Server(behaviour) as server:
        end = End(server.port, dials=WS)
        async with setup.rosn(end), tunnel(end.port) as (reader, writer):
            await echoes(reader, writer, b"hello")
            writer.write_eof()
            same(await reader.read(), b"")
            await eventually(lambda: codes == [1000])


async def dialer_sends_pings(setup):
    async with Server() as server:
        end = End(server.port, dials=settings(heartbeatPeriod=1))
        async with setup.rosn(end), tunnel(end.port) as stream:
            await echoes(*stream, b"hello")
            await eventually(lambda: server.pings >= 2)
            await echoes(*stream, b"hello")


async def dialer_sends_early_data(setup):
    """In both ways; a server that speaks first is not kept waiting."""
    forms = [settings(maxEarlyData=8), settings(maxEarlyData=8, earlyDataHeaderName="Sec-WebSocket-Protocol")]
    data = b"0123456789"
    text = base64.urlsafe_b64encode(data[:8]).decode().rstrip("=")

    async def behaviour(socket):
        await socket.send(b"greeting")
        await Server.echo(socket)

    for number, dials in enumerate(forms):
        subprotocols = {"select_subprotocol": lambda _, offered: offered[0] if offered else None}
        async with Server(behaviour, subprotocols=[text], **subprotocols) as server:
            end = End(server.port, dials=dials)
            async with setup.rosn(end):
                async with tunnel(end.port) as (reader, writer):
                    writer.write(data)
                    same(await reader.readexactly(10), b"greeting89")
                async with tunnel(end.port) as (reader, writer):
                    same(await reader.readexactly(8), b"greeting")
            early, late = server.requests
            same(early.path, ("/tunnel" + text, "/tunnel")[number], "the path")
            same(early.headers.get("Sec-WebSocket-Protocol"), (None, text)[number], "the header")
            same((late.path, late.headers.get("Sec-WebSocket-Protocol")), ("/tunnel", None))


async def dialer_says_what_is_wrong(setup):
    """Servers that are none, or do not want to be: one line that says where, when and why."""

    def answers(text: bytes):
        async def behaviour(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(text)

        return behaviour

    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    wrong = [
        (answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "the answer is 200 OK, not 101"),
        (answers(b"HTTP/1.1 404 Not Found\r\n\r\n"), "is the path the same on both sides?"),
        (answers(b"SSH-2.0-OpenSSH_9\r\n\r\n"), "the answer is not HTTP"),
        (answers(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"), "not for a WebSocket"),
        (answers(upgrade + b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"), "to another request"),
        (answers(b"HTTP/1.1 101 x\r\nX: " + b"x" * 70000), "WebSocket handshake"),
        (answers(b""), "WebSocket handshake"),
        (echo, "the answer is not HTTP"),
    ]
    async with Origin() as origin:
        end = End(origin.port, dials=WS)
        async with setup.rosn(end) as rosn:
            for behaviour, words in wrong:
                origin.behaviour = behaviour
                async with tunnel(end.port) as (reader, _):
                    with contextlib.suppress(ConnectionError):
                        same(await reader.read(), b"")
                await rosn.says("ws: WebSocket handshake with", f"127.0.0.1:{origin.port}", words)

    def forbid(connection, _):
        return connection.respond(http.HTTPStatus.FORBIDDEN, "no\n")

    async with Server(process_request=forbid) as server:
        end = End(server.port, dials=WS)
        async with setup.rosn(end) as rosn, tunnel(end.port) as (reader, _):
            with contextlib.suppress(ConnectionError):
                same(await reader.read(), b"")
            await rosn.says("ws: WebSocket handshake with", f"127.0.0.1:{server.port}", "403 Forbidden, not 101")


CASES = [
    listener_takes_messages,
    listener_speaks_tls,
    listener_echoes_no_subprotocol,
    listener_refuses_requests,
    listener_takes_requests_in_pieces,
    listener_takes_early_data,
    listener_fails_connections,
    listener_passes_ends_on,
    listener_sends_pings,
    listener_drains,
    dialer_says_what_settings_say,
    dialer_speaks_tls,
    dialer_takes_what_servers_send,
    dialer_closes,
    dialer_sends_pings,
    dialer_sends_early_data,
    dialer_says_what_is_wrong,
]
