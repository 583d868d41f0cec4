"""The transport http, and hyper-h2 at the other end."""

import asyncio
import contextlib
import os
import ssl

from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    ContinuationFrame, DataFrame, HeadersFrame, PingFrame, PriorityFrame, RstStreamFrame, SettingsFrame,
    WindowUpdateFrame,
)

from harness import End, Origin, echo, echoes, eventually, reset, same, tunnel
from peers.h2link import Server, client, echo_stream

MIB = 1 << 20
HTTP = {"network": "http", "httpSettings": {"host": ["interop.test", "other.test:8443"], "path": "/h2"}}


async def listener_answers_at_once(setup):
    """Before anything else is sent, with and without TLS."""
    async with Origin() as origin:
        plain, secure = End(origin.port, HTTP), End(origin.port, setup.folder.shows(HTTP))
        async with setup.rosn(plain, secure):
            for port, context in (
                (plain.port, None),
                (secure.port, setup.folder.client_context("h2")),
                (secure.port, setup.folder.client_context("http/1.1", "h2")),
                (secure.port, setup.folder.client_context()),
            ):
                async with client(port, context) as link:
                    stream = await link.open(scheme="https" if context else "http")
                    same(await stream.answered(), "200")
                    same(stream.headers["cache-control"], "no-store")
                    same("date" in stream.headers, True)
                    await stream.echoes(b"hello")


async def listener_wants_h2(setup):
    """Not HTTP/1.1, by ALPN or without a word."""
    async with Origin() as origin:
        plain, secure = End(origin.port, HTTP), End(origin.port, setup.folder.shows(HTTP))
        async with setup.rosn(plain, secure):
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                async with client(secure.port, setup.folder.client_context("http/1.1")) as link:
                    await eventually(lambda: link.closed)
                    raise ConnectionError
            async with tunnel(plain.port) as (reader, writer):
                writer.write(b"GET /h2 HTTP/1.1\r\nHost: interop.test\r\n\r\n")
                with contextlib.suppress(ConnectionError):
                    await reader.read()
            same(origin.accepted, 0, "the number of connections to the origin")


async def listener_looks_at_host_and_path(setup):
    """The path is a beginning; the host may have a port, where the settings have none."""
    async with Origin() as origin, setup.rosn(end := End(origin.port, HTTP)):
        async with client(end.port) as link:
            for status, asked in (
                ("200", {"path": "/h2xyz/sub?query"}),
                ("200", {"authority": "interop.test:443"}),
                ("200", {"authority": "INTEROP.test"}),
                ("200", {"authority": "other.test:8443"}),
                ("200", {"method": "GET"}),
                ("404", {"path": "/"}),
                ("404", {"path": "/other"}),
                ("404", {"authority": "other.test"}),
                ("404", {"authority": "nobody.test"}),
            ):
                stream = await link.open(**asked)
                same(await stream.answered(), status, f"the answer to {asked}")
                if status == "404":
                    await stream.over()
            same(origin.accepted, 5, "the number of connections to the origin")


async def listener_echoes_a_mebibyte_and_half_closes(setup):
    async with Origin() as origin, setup.rosn(end := End(origin.port, setup.folder.shows(HTTP))):
        async with client(end.port, setup.folder.client_context("h2")) as link:
            streams = [await link.open(scheme="https") for _ in range(20)]
            await asyncio.gather(*(stream.echoes(bytes(range(256)) * 512) for stream in streams))
            stream = await link.open(scheme="https")
            await stream.echoes(bytes(range(256)) * 4096)
            await stream.send(b"and", end=True)
            await eventually(lambda: stream.ended)
            same(bytes(stream.data[-3:]), b"and", "what came last")
            await eventually(lambda: origin.ended == 1)


async def listener_respects_windows(setup):
    """hyper-h2 fails the connection where more comes than is allowed."""
    small = {SettingCodes.INITIAL_WINDOW_SIZE: 1000, SettingCodes.ENABLE_PUSH: 0}
    async with Origin() as origin, setup.rosn(end := End(origin.port, HTTP)):
        async with client(end.port, settings=small) as link:
            link.acknowledges = False
            one, other = await link.open(), await link.open()
            for stream in (one, other):
                await stream.send(bytes(200_000))
                await eventually(lambda stream=stream: len(stream.data) == 1000)
            await link.ping()
            same((len(one.data), len(other.data)), (1000, 1000), "what came without room")
            link.acknowledges = True
            link.h2.increment_flow_control_window(100_000)
            for stream in (one, other):
                link.h2.increment_flow_control_window(1000, stream.number)
            await link.flush()
            await eventually(lambda: len(one.data) == len(other.data) == 200_000, 30)


async def listener_gives_room_for_padding(setup):
    """It counts as data for windows, and nobody ever reads it."""
    async with Origin() as origin, setup.rosn(end := End(origin.port, HTTP)):
        async with client(end.port) as link:
            stream = await link.open()
            data = bytes(range(256)) * 24  # with the padding more than the window of a mebibyte
            await stream.send(data, pad=255)
            await eventually(lambda: len(stream.data) == len(data))
            same(bytes(stream.data), data)


async def listener_bounds_what_is_unread(setup):
    """An origin that reads nothing stops its stream, and no other one."""
    released = asyncio.Event()

    async def silent(_, writer):
        writer.transport.pause_reading()
        await released.wait()

    async with Origin(silent) as origin, setup.rosn(end := End(origin.port, HTTP)) as rosn:
        async with client(end.port) as link:
            stuck = await link.open()
            sending = asyncio.create_task(stuck.send(bytes(64 * MIB)))
            before = rosn.memory()
            await eventually(lambda: link.h2.local_flow_control_window(stuck.number) == 0)
            origin.behaviour = echo
            await (await link.open()).echoes(bytes(range(256)) * 4096)
            if rosn.memory() - before > 32 * MIB:
                raise AssertionError(f"it took {rosn.memory() - before} bytes")
            sending.cancel()
            released.set()


async def listener_ends_streams_that_are_reset(setup):
    """CANCEL is an end; the connection goes on. A reset of the origin is one of the stream."""
    async with Origin() as origin, setup.rosn(end := End(origin.port, HTTP)):
        async with client(end.port) as link:
            for number, code in enumerate((ErrorCodes.CANCEL, ErrorCodes.INTERNAL_ERROR), 1):
                stream = await link.open()
                await stream.echoes(b"hello")
                link.h2.reset_stream(stream.number, code)
                await link.flush()
                await eventually(lambda number=number: origin.ended == number)
            origin.behaviour = reset
            stream = await link.open()
            await stream.send(b"x")
            await stream.over()
            same(stream.reset, ErrorCodes.INTERNAL_ERROR)
            origin.behaviour = echo
            await (await link.open()).echoes(b"hello")


async def listener_goes_away(setup):
    """Told to stop it says GOAWAY; open streams go on, and the connection ends with the last of them."""
    async with Origin() as origin, setup.rosn(end := End(origin.port, HTTP)) as rosn:
        async with client(end.port) as link:
            stream = await link.open()
            await stream.echoes(b"before")
            rosn.terminate()
            await eventually(lambda: link.goaway is not None)
            same(link.goaway, ErrorCodes.NO_ERROR)
            await stream.echoes(b"after")
            await stream.send(b"", end=True)
            await eventually(lambda: link.closed)


async def listener_survives_floods(setup):
    """Of frames that cost the sender nothing: memory is bounded, others are served, nothing is left behind."""
    head = HeadersFrame(1, b"\x82\x86\x41\x0cinterop.test\x04\x03/h2", flags=["END_HEADERS"])

    def numbered(frame, number):
        frame.stream_id = number
        return frame.serialize()

    def resets():
        for number in range(1, 60001, 2):
            yield numbered(head, number) + RstStreamFrame(number, error_code=8).serialize()

    def opens():
        for number in range(1, 60001, 2):
            yield numbered(head, number)

    def repeated(frame, times=200_000):
        return lambda: (frame.serialize() * 100 for _ in range(times // 100))

    def continued():
        yield HeadersFrame(1, b"\x82").serialize()
        for _ in range(4000):
            yield ContinuationFrame(1, b"\0\x01x\x7f\x81\x7e" + b"x" * 16000).serialize()

    def bomb():
        """A header of 4 KiB in the table, and thousands of mentions."""
        entry = b"\x40\x01x\x7f\x81\x1f" + b"y" * (0x7F + 0x81 - 0x80 + (0x1F << 7))
        yield HeadersFrame(1, entry[: 1 << 14]).serialize()
        for _ in range(200):
            yield ContinuationFrame(1, b"\xbe" * 16000).serialize()

    def huge():
        yield b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(1 << 20)

    floods = {
        "resets": resets,
        "opens": opens,
        "pings": repeated(PingFrame(0, b"12345678")),
        "settings": repeated(SettingsFrame(0, settings={4: 100})),
        "priorities": repeated(PriorityFrame(1, depends_on=3)),
        "windows": repeated(WindowUpdateFrame(0, window_increment=1)),
        "no data": lambda: (numbered(head, 1), *repeated(DataFrame(1, b""))()),
        "continuations": continued,
        "a bomb": bomb,
        "a huge frame": huge,
    }
    async with Origin() as origin, setup.rosn(end := End(origin.port, HTTP)) as rosn:
        async with client(end.port) as link:
            await (await link.open()).echoes(b"hello")
        for name, flood in floods.items():
            before = rosn.memory()
            async with tunnel(end.port) as (reader, writer):
                writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize())
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(5):
                        for octets in flood():
                            writer.write(octets)
                            await writer.drain()
                async with client(end.port) as link:
                    await (await link.open()).echoes(b"hello")
                grown = rosn.memory() - before
                if grown > 64 * MIB:
                    raise AssertionError(f"{name}: it took {grown >> 20} MiB")
            await eventually(lambda: origin.ended == origin.accepted, 20)


async def dialer_asks_for_what_settings_say(setup):
    own = {"host": ["front.test"], "path": "/some/path?q=1", "method": "POST", "headers": {"X-Other": ["1", "2"]}}
    async with Server() as plain, Server(context=setup.folder.server_context("h2")) as secure:
        ends = [
            End(plain.port, dials={"network": "http", "httpSettings": own}),
            End(secure.port, dials=setup.folder.trusts({"network": "h2"})),
        ]
        async with setup.rosn(*ends):
            for end in ends:
                async with tunnel(end.port) as stream:
                    await echoes(*stream, bytes(range(256)) * 4096)
        asked = plain.streams[0]
        same(asked.order, [":method", ":scheme", ":authority", ":path", "accept-encoding", "user-agent", "x-other", "x-other"])
        same(asked.headers, {
            ":method": "POST", ":scheme": "http", ":authority": "front.test", ":path": "/some/path?q=1",
            "accept-encoding": "identity", "user-agent": "Go-http-client/2.0", "x-other": "2",
        })
        same(secure.streams[0].headers, {
            ":method": "PUT", ":scheme": "https", ":authority": "www.example.com", ":path": "/",
            "accept-encoding": "identity", "user-agent": "Go-http-client/2.0",
        })
        same(plain.links[0].h2.remote_settings.enable_push, 0)


async def refused(setup, server, dials, *words):
    """A tunnel that comes to nothing, with a line in the log that says why."""
    end = End(server.port, dials=dials)
    async with setup.rosn(end) as rosn, tunnel(end.port) as (reader, _):
        with contextlib.suppress(ConnectionError):
            same(await reader.read(), b"")
        await rosn.says(f"127.0.0.1:{server.port}", *words)


async def dialer_wants_200(setup):
    for status in ("204", "302", "404", "503"):

        async def behaviour(stream, status=status):
            await stream.link.answer(stream, status=status, end=True)

        async with Server(behaviour) as server:
            await refused(setup, server, HTTP, "http: HTTP/2 request with", f"the answer is {status}", "not 200")


async def dialer_wants_h2(setup):
    """Not another protocol by ALPN, and not one that is none."""
    for alpn, words in ((("http/1.1",), "ALPN"), ((), "ALPN")):
        async with Server(context=setup.folder.server_context(*alpn)) as server:
            await refused(setup, server, setup.folder.trusts(HTTP), "http: ", words)

    async def banner(_, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n" * 10)

    async with Origin(banner) as server:
        await refused(setup, server, HTTP, "http: HTTP/2")


async def dialer_verifies(setup):
    async with Server(context=setup.folder.server_context("h2")) as server:
        other = setup.folder.trusts(HTTP, serverName="other.test")
        await refused(setup, server, other, "http: TLS handshake with", "other.test")


async def dialer_takes_what_servers_send(setup):
    """Something before the answer; padding; a trailer at the end."""

    async def behaviour(stream):
        link = stream.link
        link.h2.send_headers(stream.number, [(":status", "103"), ("link", "</a>")])
        await link.answer(stream, server="probe")
        await stream.send(bytes(range(256)) * 70, pad=255)  # with the padding more than the window of 4 MiB
        link.h2.send_headers(stream.number, [("x-trailer", "1")], end_stream=True)
        await link.flush()

    async with Server(behaviour) as server:
        end = End(server.port, dials=HTTP)
        async with setup.rosn(end), tunnel(end.port) as (reader, _):
            same(await reader.read(), bytes(range(256)) * 70)


async def dialer_respects_windows(setup):
    small = {SettingCodes.INITIAL_WINDOW_SIZE: 100}
    async with Server(settings=small) as server:
        end = End(server.port, dials=HTTP)
        async with setup.rosn(end), tunnel(end.port) as (reader, writer):
            await echoes(reader, writer, bytes(range(256)) * 100)
            writer.write_eof()
            same(await reader.read(), b"")
            same(server.streams[0].ended, True, "that the stream was ended")


async def dialer_opens_connections_for_more_streams(setup):
    """One stream at a time is allowed: three tunnels, three connections; and each thread uses them again."""
    async with Server(settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as server:
        end = End(server.port, dials=HTTP)
        async with setup.rosn(end):
            for _ in range(4):
                async with tunnel(end.port) as one, tunnel(end.port) as two, tunnel(end.port) as three:
                    await asyncio.gather(*(echoes(*stream, b"hello") for stream in (one, two, three)))
                    for _, writer in (one, two, three):
                        writer.write_eof()
                    for reader, _ in (one, two, three):
                        same(await reader.read(), b"")
            same(len(server.streams), 12, "the number of streams")
            if len(server.links) > 3 * (os.cpu_count() or 1):
                raise AssertionError(f"there are {len(server.links)} connections")


async def dialer_leaves_connections_that_go_away(setup):
    """The stream that is open goes on; the next one is on a new connection."""
    async with Server() as server:
        end = End(server.port, dials=HTTP)
        async with setup.rosn(end), tunnel(end.port) as one:
            await echoes(*one, b"one")
            # By hand: hyper-h2 would end the connection.
            server.links[0].writer.write(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01" + bytes(4))
            await server.links[0].ping()
            for _ in range(3):
                async with tunnel(end.port) as other:
                    await echoes(*other, b"other")
            same(len(server.links[0].streams), 1, "the number of streams on the first connection")
            await echoes(*one, b"one")


async def dialer_tries_again(setup):
    """A stream that was refused is asked for on a new connection."""
    seen = []

    async def behaviour(stream):
        seen.append(stream)
        if len(seen) == 2:
            stream.link.h2.reset_stream(stream.number, ErrorCodes.REFUSED_STREAM)
            await stream.link.flush()
        else:
            await echo_stream(stream)

    async with Server(behaviour) as server:
        end = End(server.port, dials=HTTP)
        async with setup.rosn(end), tunnel(end.port) as one:
            await echoes(*one, b"one")
            async with tunnel(end.port) as two:
                await echoes(*two, b"two")
            same(len(seen), 3, "the number of streams")
            same(seen[1].link is seen[2].link, False, "that the second try is on the connection that refused")


async def dialer_learns_how_many_streams_there_may_be(setup):
    """A hundred tunnels at once, to a server that refuses more than ten streams of a connection."""
    refused = []

    async def behaviour(stream):
        open_streams = [one for one in stream.link.streams.values() if not one.ended and one not in refused]
        if len(open_streams) > 10:
            refused.append(stream)
            stream.link.h2.reset_stream(stream.number, ErrorCodes.REFUSED_STREAM)
            await stream.link.flush()
        else:
            await echo_stream(stream)

    async with Server(behaviour, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 10}, latency=0.1) as server:
        end = End(server.port, dials=HTTP)
        async with setup.rosn(end), contextlib.AsyncExitStack() as stack:
            tunnels = [await stack.enter_async_context(tunnel(end.port)) for _ in range(100)]
            await asyncio.gather(*(echoes(*stream, b"hello") for stream in tunnels))
            same((len(refused), len(server.streams)), (0, 100), "refused streams, and all")
            if len(server.links) > 10 + (os.cpu_count() or 1):
                raise AssertionError(f"there are {len(server.links)} connections")


async def dialer_passes_resets_on(setup):
    """CANCEL is an end, another reset is one; and so is the loss of the connection."""
    for code, ends in ((ErrorCodes.CANCEL, True), (ErrorCodes.INTERNAL_ERROR, False), (None, False)):

        async def behaviour(stream, code=code):
            await stream.link.answer(stream)
            await eventually(lambda: stream.data)
            if code is None:
                stream.link.writer.transport.abort()
            else:
                stream.link.h2.reset_stream(stream.number, code)
                await stream.link.flush()

        async with Server(behaviour) as server:
            end = End(server.port, dials=HTTP)
            async with setup.rosn(end):
                async with tunnel(end.port) as (reader, writer):
                    writer.write(b"x")
                    try:
                        same((await reader.read(), ends), (b"", True), "the end")
                    except ConnectionResetError:
                        same(ends, False, "that it is an end")
                server.behaviour = echo_stream
                async with tunnel(end.port) as stream:
                    await echoes(*stream, b"again")


CASES = [
    listener_answers_at_once,
    listener_wants_h2,
    listener_looks_at_host_and_path,
    listener_echoes_a_mebibyte_and_half_closes,
    listener_respects_windows,
    listener_gives_room_for_padding,
    listener_bounds_what_is_unread,
    listener_ends_streams_that_are_reset,
    listener_goes_away,
    listener_survives_floods,
    dialer_asks_for_what_settings_say,
    dialer_wants_200,
    dialer_wants_h2,
    dialer_verifies,
    dialer_takes_what_servers_send,
    dialer_respects_windows,
    dialer_opens_connections_for_more_streams,
    dialer_leaves_connections_that_go_away,
    dialer_tries_again,
    dialer_learns_how_many_streams_there_may_be,
    dialer_passes_resets_on,
]
