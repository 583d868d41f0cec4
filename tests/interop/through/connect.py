"""CONNECT: curl, openssl, websockets and http.client of Python reach servers of TLS and others through rosn.

Without rosn the proxy is tinyproxy, which also is the one that rosn passes CONNECT on to.
"""

import asyncio
import contextlib
import http.client
import random
import ssl
import subprocess

import websockets

from harness import Origin, echo, eventually, next_port, same
from through.programs import ended, killed, output
from through.websocket import python_server

MIB = 1 << 20
DATA = random.Random("connect").randbytes(MIB)


@contextlib.asynccontextmanager
async def web(setup, tls=True):
    """A server that answers a GET with a MiB, and anything else with what it was sent. Its port."""

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
                if b"expect: 100-continue" in head:
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = DATA if head.startswith(b"get ") else await reader.readexactly(int(length))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        writer.close()

    context = setup.folder.server_context("http/1.1") if tls else None
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.asynccontextmanager
async def tinyproxy(setup, *ports: int):
    """Another proxy, which lets CONNECT through to these ports."""
    port = next_port()
    folder = setup.folder.path
    config = folder / f"tinyproxy-{port}.conf"
    lines = [f"Port {port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 50"]
    lines += [f'LogFile "{folder}/tinyproxy-{port}.log"', *(f"ConnectPort {allowed}" for allowed in ports)]
    config.write_text("\n".join([*lines, ""]))
    process = await asyncio.create_subprocess_exec("tinyproxy", "-d", "-c", str(config), stdout=subprocess.DEVNULL)

    async def listens():
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                return writer.close()
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)

    async with killed(process):
        await asyncio.wait_for(listens(), 20)
        yield port


@contextlib.asynccontextmanager
async def proxy(setup, to: int, **more):
    """A proxy that lets CONNECT through to that port."""
    if setup.direct:
        async with tinyproxy(setup, to) as port:
            yield port
    else:
        async with setup.front(to, tunnel={"connect": {"ports": [to]}}, **more) as front:
            yield front.port


def curl(setup, port: int, *arguments):
    return ["curl", "--silent", "--show-error", "--max-time", "60", "--noproxy", "", "--cacert", setup.folder.ca,
            "--proxy", f"http://127.0.0.1:{port}", *arguments]


async def curl_to_TLS(setup):
    """Two requests in one tunnel, both with a MiB; and 8 at a time."""
    upload = setup.folder.path / "upload"
    upload.write_bytes(DATA)
    async with web(setup) as to, proxy(setup, to) as port:
        url = f"https://127.0.0.1:{to}/"
        same(await output(*curl(setup, port, url)), DATA)
        one = curl(setup, port, "--output", "/dev/null", "--write-out", "%{num_connects} ", "--upload-file", upload)
        one.append(url)
        same(await output(*one, "--next", *one[1:]), b"1 0 ", "the number of new connections")
        uploads = (output(*curl(setup, port, "-T", upload, url)) for _ in range(8))
        all_of_them = await asyncio.gather(*uploads)
        same(all_of_them, [DATA] * 8)


async def curl_proxytunnel(setup):
    """CONNECT for plain HTTP."""
    async with web(setup, tls=False) as to, proxy(setup, to) as port:
        same(await output(*curl(setup, port, "--proxytunnel", f"http://127.0.0.1:{to}/")), DATA)


async def curl_over_TLS_to_rosn(setup):
    """A proxy that is itself reached over TLS."""
    async with web(setup) as to, setup.front(to, tls=True, tunnel={"connect": {"ports": [to]}}) as front:
        command = ["curl", "--silent", "--show-error", "--noproxy", "", "--cacert", setup.folder.ca]
        command += ["--proxy", front.url(), "--proxy-cacert", setup.folder.ca, f"https://127.0.0.1:{to}/"]
        same(await output(*command), DATA)


async def refused(setup, port: int, url: str, *statuses: int):
    """CONNECT is answered with one of these, and curl says that this is why."""
    told = ["--write-out", "%{http_connect}", "--output", "/dev/null", url]
    status, out, error = await ended(*curl(setup, port, "--proxytunnel", *told))
    if status != 56 or int(out) not in statuses:
        raise AssertionError(f"curl ended with {status}, CONNECT with {out!r}, not {statuses}: {error.decode()}")


async def ports_that_are_not_allowed(setup):
    async with web(setup) as to, proxy(setup, to) as port:
        await refused(setup, port, f"https://127.0.0.1:{to - 1}/", 403)
        same(await output(*curl(setup, port, f"https://127.0.0.1:{to}/")), DATA)


async def off_where_not_configured(setup):
    async with web(setup) as to, setup.front(to) as front:
        await refused(setup, front.port, f"https://127.0.0.1:{to}/", 405)


async def nobody_there(setup):
    """The upstream does not answer."""
    nobody = next_port()
    async with setup.front(nobody, tunnel={"connect": {"ports": [nobody]}}) as front:
        await refused(setup, front.port, f"https://127.0.0.1:{nobody}/", 502, 503, 504)


async def to_another_proxy(setup):
    """CONNECT is passed on, and the other proxy may refuse."""
    async with web(setup) as to, tinyproxy(setup, to) as other:
        connect = {"ports": [to, to - 1], "upstream": "http"}
        async with setup.front(other, tunnel={"connect": connect}) as front:
            same(await output(*curl(setup, front.port, f"https://127.0.0.1:{to}/")), DATA)
            await refused(setup, front.port, f"https://127.0.0.1:{to - 1}/", 403)


async def to_where_the_request_says(setup):
    """Two servers, and a name that has to be looked up."""
    cluster = {"type": "ORIGINAL_DST", "hosts": []}
    async with web(setup) as one, web(setup, tls=False) as two:
        async with setup.front(0, cluster=cluster, tunnel={"connect": {"ports": [one, two]}}) as front:
            same(await output(*curl(setup, front.port, f"https://127.0.0.1:{one}/")), DATA)
            same(await output(*curl(setup, front.port, "--proxytunnel", f"http://127.0.0.1:{two}/")), DATA)
            same(await output(*curl(setup, front.port, "--proxytunnel", f"http://localhost:{two}/")), DATA)


async def openssl_s_client(setup):
    """To openssl's own server, which turns lines round."""
    port_of_server = next_port()
    server = ["s_server", "-quiet", "-rev", "-accept", f"127.0.0.1:{port_of_server}"]
    server += ["-cert", setup.folder.certificate, "-key", setup.folder.key]
    null = subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec("openssl", *server, stdout=null, stderr=null)

    async def listens():
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port_of_server)
                return writer.close()
            await asyncio.sleep(0.02)

    async with killed(process):
        await asyncio.wait_for(listens(), 20)
        async with proxy(setup, port_of_server) as port:
            client = ["s_client", "-quiet", "-verify_return_error", "-CAfile", setup.folder.ca]
            client += ["-proxy", f"127.0.0.1:{port}", "-connect", f"127.0.0.1:{port_of_server}"]
            pipe = subprocess.PIPE
            asks = await asyncio.create_subprocess_exec("openssl", *client, stdin=pipe, stdout=pipe, stderr=pipe)
            async with killed(asks):
                asks.stdin.write(b"abc def\n")
                same(await asyncio.wait_for(asks.stdout.readline(), 30), b"fed cba\n")


async def http_client_of_python(setup):
    async with web(setup) as to, proxy(setup, to) as port:

        def ask():
            context = ssl.create_default_context(cafile=setup.folder.ca)
            connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
            connection.set_tunnel("127.0.0.1", to)
            connection.request("POST", "/", body=DATA)
            got = connection.getresponse().read()
            connection.close()
            return got

        same(await asyncio.to_thread(ask), DATA)


async def websocket_in_CONNECT(setup):
    """websockets goes through a proxy by itself."""
    async with python_server() as to, proxy(setup, to) as port:
        async with websockets.connect(f"ws://127.0.0.1:{to}/echo", proxy=f"http://127.0.0.1:{port}") as socket:
            await socket.send("héllo")
            same(await socket.recv(), "héllo")


async def early_bytes_and_late_ones(setup):
    """A MiB right behind the head, and one from a server that speaks first; the rest after the client's end."""

    async def speaks_first(reader, writer):
        writer.write(DATA)
        await echo(reader, writer)
        writer.write(DATA)
        await writer.drain()

    async with Origin(speaks_first) as origin, proxy(setup, origin.port) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            host = f"127.0.0.1:{origin.port}".encode()
            writer.write(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (host, host) + DATA)
            writer.write_eof()
            head = await reader.readuntil(b"\r\n\r\n")
            about_a_body = [name for name in (b"content-length", b"transfer-encoding") if name in head.lower()]
            if not head.startswith(b"HTTP/1.1 200 ") or about_a_body:
                raise AssertionError(f"CONNECT was answered with {head!r}")
            same(await reader.read(-1), DATA * 3)
        finally:
            writer.close()
        await eventually(lambda: origin.ended)


for case in (curl_over_TLS_to_rosn, off_where_not_configured, nobody_there, to_another_proxy, to_where_the_request_says,
             early_bytes_and_late_ones):
    case.needs_rosn = True

CASES = [
    curl_to_TLS, curl_proxytunnel, curl_over_TLS_to_rosn, ports_that_are_not_allowed, off_where_not_configured,
    nobody_there, to_another_proxy, to_where_the_request_says, openssl_s_client, http_client_of_python,
    websocket_in_CONNECT, early_bytes_and_late_ones,
]
