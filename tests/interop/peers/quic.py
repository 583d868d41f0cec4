"""The transport quic, and aioquic at the other end."""

import asyncio
import contextlib
import os
import ssl

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset

from harness import End, Origin, echo, echoes, eventually, reset, same, tunnel

# Nothing around the packets: aioquic knows no v2ray.
PLAIN = {"network": "quic", "quicSettings": {}}


class Connection(QuicConnectionProtocol):
    """Notes how streams and the connection end."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.resets = {}
        self.terminated = None

    def quic_event_received(self, event):
        super().quic_event_received(event)
        if isinstance(event, StreamReset):
            self.resets[event.stream_id] = event.error_code
        if isinstance(event, ConnectionTerminated):
            self.terminated = event

    def reset_stream(self, writer):
        self._quic.reset_stream(writer.get_extra_info("stream_id"), 7)
        self.transmit()

    def abandon(self, code: int):
        self._quic.close(error_code=code, reason_phrase="enough")
        self.transmit()


@contextlib.asynccontextmanager
async def client(port: int, alpn=("h3",), ca=None, name="interop.test"):
    configuration = QuicConfiguration(alpn_protocols=list(alpn) or None, server_name=name)
    if ca:
        configuration.load_verify_locations(cafile=ca)
    else:
        configuration.verify_mode = ssl.CERT_NONE
    # An IPv4 address, as the client's socket is one of both families.
    async with connect("127.0.0.1", port, configuration=configuration, create_protocol=Connection) as connection:
        yield connection


class Server:
    """A server of QUIC. Each stream is served by `behaviour`."""

    def __init__(self, folder, alpn=("h3",), behaviour=echo):
        self.configuration = QuicConfiguration(is_client=False, alpn_protocols=list(alpn) or None)
        self.configuration.load_cert_chain(folder.certificate, folder.key)
        self.behaviour = behaviour
        self.connections = []
        self.streams = 0
        self.tasks = set()

    async def __aenter__(self):
        self.server = await serve(
            "127.0.0.1", 0, configuration=self.configuration, create_protocol=self.connection,
            stream_handler=self.stream,
        )
        self.port = self.server._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in self.tasks:
            task.cancel()

    def connection(self, *arguments, **options):
        connection = Connection(*arguments, **options)
        self.connections.append(connection)
        return connection

    def stream(self, reader, writer):
        self.streams += 1

        async def serve_stream():
            await self.behaviour(reader, writer)
            writer.close()

        task = asyncio.create_task(serve_stream())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


async def listener_takes_protocols(setup):
    """Without `alpn` in the settings: h3, h2, http/1.1, several, and none; a certificate of its own."""
    async with Origin() as origin, setup.rosn(end := End(origin.port, PLAIN)):
        for alpn in (("h3",), ("h2",), ("http/1.1",), ("other", "h2"), ()):
            async with client(end.port, alpn) as connection:
                await echoes(*await connection.create_stream(), b"hello " + repr(alpn).encode())


async def listener_refuses_protocols(setup):
    """Others, and with `alpn` in the settings all but those."""
    only = setup.folder.shows(PLAIN, alpn=["h3"])
    async with Origin() as origin:
        ends = [End(origin.port, PLAIN), End(origin.port, only)]
        async with setup.rosn(*ends):
            for end, alpn in ((ends[0], ("other",)), (ends[1], ("h2",)), (ends[1], ())):
                try:
                    async with client(end.port, alpn):
                        raise AssertionError(f"{alpn} was taken")
                except ConnectionError:
                    pass
            async with client(ends[1].port, ("h3",)) as connection:
                await echoes(*await connection.create_stream(), b"hello")


async def listener_shows_its_certificate(setup):
    async with Origin() as origin, setup.rosn(end := End(origin.port, setup.folder.shows(PLAIN))):
        async with client(end.port, ca=setup.folder.ca) as connection:
            await echoes(*await connection.create_stream(), b"hello")
        try:
            async with client(end.port, ca=setup.folder.ca, name="other.test"):
                raise AssertionError("aioquic did not look at the name")
        except ConnectionError:
            pass


async def listener_echoes_a_mebibyte_and_half_closes(setup):
    async with Origin() as origin, setup.rosn(end := End(origin.port, PLAIN)):
        async with client(end.port) as connection:
            reader, writer = await connection.create_stream()
            data = bytes(range(256)) * 4096
            writer.write(data)
            writer.write_eof()
            same(await reader.read(), data, "what came back")
            await eventually(lambda: origin.ended == 1)


async def listener_takes_32_streams_at_a_time(setup):
    async with Origin() as origin, setup.rosn(end := End(origin.port, PLAIN)):
        async with client(end.port) as connection:
            streams = []
            for _ in range(33):
                streams.append(await connection.create_stream())
                streams[-1][1].write(b"x")  # which makes it a stream for aioquic, too
            for reader, _ in streams[:32]:
                same(await reader.readexactly(1), b"x")
            await connection.ping()
            same(origin.accepted, 32, "the number of connections")
            # quinn says that there is room again when more than an eighth is free.
            for _, writer in streams[:5]:
                writer.write_eof()
            same(await streams[32][0].readexactly(1), b"x", "the echo of the last stream")


async def listener_ends_streams_that_are_reset(setup):
    """By the client; and the other streams go on."""
    async with Origin() as origin, setup.rosn(end := End(origin.port, PLAIN)):
        async with client(end.port) as connection:
            await echoes(*(one := await connection.create_stream()), b"one")
            await echoes(*(other := await connection.create_stream()), b"other")
            connection.reset_stream(one[1])
            await eventually(lambda: origin.ended == 1)
            await echoes(*other, b"other")


async def listener_resets_streams(setup):
    """Where the origin was reset; and other streams go on."""
    async with Origin(reset) as origin, setup.rosn(end := End(origin.port, PLAIN)):
        async with client(end.port) as connection:
            _, writer = await connection.create_stream()
            writer.write(b"x")
            await eventually(lambda: connection.resets)
            origin.behaviour = echo
            await echoes(*await connection.create_stream(), b"other")


async def listener_forgets_clients_that_close(setup):
    async with Origin() as origin, setup.rosn(end := End(origin.port, PLAIN)):
        async with client(end.port) as connection:
            for _ in range(5):
                await echoes(*await connection.create_stream(), b"x")
            connection.abandon(5)
            await eventually(lambda: origin.ended == 5)


async def listener_drains(setup):
    """Streams that are open go on; a new client is refused."""
    async with Origin() as origin, setup.rosn(end := End(origin.port, PLAIN)) as rosn:
        async with client(end.port) as connection:
            reader, writer = await connection.create_stream()
            await echoes(reader, writer, b"before")
            rosn.terminate()
            await rosn.says("stopping")
            await echoes(reader, writer, b"after")
            try:
                async with asyncio.timeout(5), client(end.port):
                    raise AssertionError("a client was taken")
            except (ConnectionError, TimeoutError):
                pass
            writer.write_eof()
            same(await reader.read(), b"")


async def dialer_asks_for_protocols(setup):
    """What `alpn` says; h2 and http/1.1 where it says nothing."""
    for settings, alpn in (({"alpn": ["h3"]}, ("h3",)), ({}, ("h2",)), ({}, ("http/1.1",))):
        async with Server(setup.folder, alpn) as server:
            end = End(server.port, dials=setup.folder.trusts(PLAIN, **settings))
            async with setup.rosn(end), tunnel(end.port) as stream:
                await echoes(*stream, bytes(range(256)) * 4096)


async def dialer_says_that_no_protocol_is_common(setup):
    async with Server(setup.folder, ("h3",)) as server:
        end = End(server.port, dials=setup.folder.trusts(PLAIN))
        async with setup.rosn(end) as rosn, tunnel(end.port) as (reader, _):
            with contextlib.suppress(ConnectionError):
                same(await reader.read(), b"")
            await rosn.says("quic: QUIC handshake", f"127.0.0.1:{server.port}", "ALPN", "`alpn`")


async def dialer_wants_a_protocol(setup):
    """A server that chooses none is refused, by v2ray as well."""
    async with Server(setup.folder, ()) as server:
        end = End(server.port, dials=setup.folder.trusts(PLAIN))
        async with setup.rosn(end) as rosn, tunnel(end.port) as (reader, _):
            with contextlib.suppress(ConnectionError):
                same(await reader.read(), b"")
            await rosn.says("quic: QUIC handshake", f"127.0.0.1:{server.port}", "ALPN")


async def dialer_verifies(setup):
    """The name, and who has issued the certificate. Without TLS settings it takes any."""
    folder = setup.folder
    async with Server(folder, ("h2",)) as server:
        unknown = {**PLAIN, "security": "tls", "tlsSettings": {"serverName": "interop.test"}}
        other = folder.trusts(PLAIN, serverName="other.test")
        ends = [End(server.port, dials=dials) for dials in (unknown, other, PLAIN)]
        async with setup.rosn(*ends) as rosn:
            for end, word in ((ends[0], "UnknownIssuer"), (ends[1], "other.test")):
                async with tunnel(end.port) as (reader, _):
                    with contextlib.suppress(ConnectionError):
                        same(await reader.read(), b"")
                await rosn.says("quic: QUIC handshake", f"127.0.0.1:{server.port}", "certificate", word)
            async with tunnel(ends[2].port) as stream:
                await echoes(*stream, b"hello")


async def dialer_shares_connections(setup):
    """80 tunnels at once, and as few connections for each thread as have room for them: 32 streams each."""
    async with Server(setup.folder, ("h2",)) as server:
        end = End(server.port, dials=PLAIN)
        async with setup.rosn(end), contextlib.AsyncExitStack() as stack:
            tunnels = [await stack.enter_async_context(tunnel(end.port)) for _ in range(80)]
            await asyncio.gather(*(echoes(*stream, b"x" * 10000) for stream in tunnels))
            same(server.streams, 80, "the number of streams")
            if len(server.connections) > 80 // 32 + (os.cpu_count() or 1):
                raise AssertionError(f"there are {len(server.connections)} connections")


async def dialer_half_closes(setup):
    async with Server(setup.folder, ("h2",)) as server:
        end = End(server.port, dials=PLAIN)
        async with setup.rosn(end), tunnel(end.port) as (reader, writer):
            data = bytes(range(256)) * 1024
            writer.write(data)
            writer.write_eof()
            same(await reader.read(), data, "what came back")


async def dialer_passes_resets_on(setup):
    """Of a stream by the server; of the connection; and the next tunnel has a new connection."""
    closes = lambda server: server.connections[-1].abandon(9)  # noqa: E731
    resets = lambda server: server.connections[-1]._quic.reset_stream(0, 7)  # noqa: E731
    for breaks in (resets, closes):

        async def behaviour(reader, writer):
            await reader.readexactly(1)
            breaks(server)
            server.connections[-1].transmit()
            await asyncio.Event().wait()

        async with Server(setup.folder, ("h2",), behaviour) as server:
            end = End(server.port, dials=PLAIN)
            async with setup.rosn(end):
                async with tunnel(end.port) as (reader, writer):
                    writer.write(b"x")
                    try:
                        await reader.read()
                        raise AssertionError("it was no reset")
                    except ConnectionResetError:
                        pass
                server.behaviour = echo
                async with tunnel(end.port) as stream:
                    await echoes(*stream, b"again")


CASES = [
    listener_takes_protocols,
    listener_refuses_protocols,
    listener_shows_its_certificate,
    listener_echoes_a_mebibyte_and_half_closes,
    listener_takes_32_streams_at_a_time,
    listener_ends_streams_that_are_reset,
    listener_resets_streams,
    listener_forgets_clients_that_close,
    listener_drains,
    dialer_asks_for_protocols,
    dialer_says_that_no_protocol_is_common,
    dialer_wants_a_protocol,
    dialer_verifies,
    dialer_shares_connections,
    dialer_half_closes,
    dialer_passes_resets_on,
]
