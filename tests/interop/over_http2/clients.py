"""Clients of others: curl, nghttp, h2load, Node.js, httpx, Chromium."""

import asyncio
import contextlib
import hashlib
import json
import random
import re

import httpx

from harness import same
from over_http2.directions import curl
from over_http2.servers import nghttpd, nginx, origin
from through.programs import node, output
from through.websocket import python_server

MIB = 1 << 20
DATA = random.Random("clients").randbytes(MIB)


@contextlib.asynccontextmanager
async def front(setup, protocol="http1", tls=False):
    """An origin of that protocol with rosn before it; without rosn, one of the client's own protocol."""
    if setup.direct:
        protocol = "h2" if tls else "h2c"
    async with origin(setup, protocol) as to:
        upstream = "Http1" if protocol == "http1" else "Http2"
        async with setup.front(to, tls=tls, upstream=upstream, to_tls=protocol == "h2") as front:
            yield front


async def node_client(setup, protocol, tls):
    async with front(setup, protocol, tls) as where:
        same(await output(*node(setup, "http2client.mjs", where.url, setup.folder.ca)), b"8 checks\n")


async def nodejs_to_http1(setup):
    await node_client(setup, "http1", False)


async def nodejs_to_h2c(setup):
    await node_client(setup, "h2c", False)


async def nodejs_over_TLS_to_http1(setup):
    await node_client(setup, "http1", True)


async def nodejs_over_TLS_to_h2(setup):
    await node_client(setup, "h2", True)


async def nghttp(setup):
    """Trailers, Expect, a head that needs CONTINUATION, and five at a time."""
    upload = setup.folder.path / "nghttp"
    upload.write_bytes(DATA)
    digest = hashlib.sha256(DATA).hexdigest()
    for protocol, tls in (("http1", False), ("h2c", False), ("http1", True)):
        async with front(setup, protocol, tls) as where:
            # Where there is a length, there is no place for trailers in HTTP/1.
            sends = ["nghttp", "--no-verify-peer", "--no-content-length", "--data", upload]
            sends += ["--trailer", "x-sent: after all"]
            said = (await output(*sends, "--null-out", "--verbose", f"{where.url}/echo")).decode()
            same(re.findall(r"x-(?:digest|came): (.*)", said), [digest, "after all"], "trailers")
            answer = await output(*sends, "--expect-continue", f"{where.url}/digest")
            same(answer.decode(), f"{MIB} {digest}")
            asks = ["nghttp", "--no-verify-peer"]
            same(await output(*asks, "--continuation", "--multiply", "5", f"{where.url}/status/200"), b"")
            hints = (await output(*asks, "--verbose", "--null-out", f"{where.url}/hints")).decode()
            same(re.findall(r":status: (\d+)", hints), ["103", "200"])


async def loads(setup, tls: bool, *options, count=20_000):
    """h2load: each request succeeds."""
    listen = (["ssl", "http2"] if tls else ["http2"]) if setup.direct else []
    async with nginx(setup, *listen) as to, setup.front(to, tls=tls) as where:
        await load(where, count, *options)


async def load(where, count: int, *options):
    said = (await output("h2load", "-n", count, *options, f"{where.url}/")).decode()
    if f"{count} succeeded, 0 failed, 0 errored, 0 timeout" not in said or f"{count} 2xx" not in said:
        raise AssertionError(said[said.find("finished in"):])
    print(f"       {said[said.find('finished in') :].splitlines()[0]}")


async def h2load_h2c(setup):
    await loads(setup, False, "-c", "10", "-m", "100")


async def h2load_over_TLS(setup):
    await loads(setup, True, "-c", "10", "-m", "10")


async def h2load_to_nghttpd(setup):
    """HTTP/2 on both sides."""
    async with nghttpd(setup) as to, setup.front(to, upstream="Http2") as where:
        await load(where, 20_000, "-c", "10", "-m", "100")


async def curl_upgrade(setup):
    """What asks to go on in HTTP/2 (RFC 7540 3.2) is answered in HTTP/1.1: RFC 9113 has no such upgrade any more."""
    async with origin(setup, "http1") as to, setup.front(to) as where:
        shown = ["--http2", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"]
        same(await output(*curl(setup, *shown, f"{where.url}/hints")), b"1.1 200")


async def curl_in_parallel(setup):
    """Fifty at a time on one connection, a MiB each."""
    async with front(setup, "http1", True) as where:
        shown = ["--http2", "--parallel", "--parallel-max", "50", "--write-out", "%{http_version} %{size_download}\n",
                 "--output", "/dev/null"]
        url = f"{where.url}/bytes/{MIB}?[1-50]"
        same(await output(*curl(setup, *shown, url)), f"2 {MIB}\n".encode() * 50)


async def curl_large_head(setup):
    """A field of 20,000 bytes, within what rosn takes or refused with 431: never anything else."""
    async with front(setup, "http1", True) as where:
        shown = ["--http2", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"]
        for size, statuses in ((4_000, [b"2 200"]), (20_000, [b"2 200", b"2 431"])):
            said = await output(*curl(setup, *shown, "--header", f"X-Large: {'l' * size}", f"{where.url}/hints"))
            if said not in statuses:
                raise AssertionError(f"{size} bytes: {said}")


async def httpx_client(setup):
    """Python's: fifty requests at a time, and a stream that is read in part."""
    for tls in (False, True):
        async with front(setup, "http1", tls) as where:
            context = setup.folder.client_context("h2")
            async with httpx.AsyncClient(http1=False, http2=True, verify=context, trust_env=False) as client:

                async def echoes(number):
                    answer = await client.put(f"{where.url}/echo", content=DATA[: number * 1000])
                    same((answer.http_version, answer.content), ("HTTP/2", DATA[: number * 1000]))

                await asyncio.gather(*(echoes(number) for number in range(50)))
                # It makes no room for what it does not read: 16 MiB could fill the window of the connection for good.
                async with client.stream("GET", f"{where.url}/bytes/{8 * MIB}") as answer:
                    async for part in answer.aiter_bytes():
                        same(part[:1], b"b")
                        break
                same((await client.get(f"{where.url}/cancelled/none")).text, "false")


async def chromium(setup):
    """A page over HTTP/2, and WebSockets to where it came from: on the same connection (RFC 8441)."""
    from through.browser import EXPECTED  # noqa: PLC0415 - only where Chromium is

    async with python_server() as to, setup.front(to, tls=True) as where:
        found = json.loads(await output(*node(setup, "browser.mjs", f"{where.url}/page")))
        same(found, EXPECTED)
        metrics = await where.rosn.metrics()
        total = sum(value for series, value in metrics.items()
                    if series.startswith("downstream_connection_total") and 'listener="end 0"' in series)
        print(f"       {total:.0f} connections for 54 WebSockets and two pages")
        if total > 10:
            raise AssertionError(f"{total} connections: the WebSockets had connections of their own")


chromium.needs_rosn = curl_upgrade.needs_rosn = True

CASES = [
    nodejs_to_http1, nodejs_to_h2c, nodejs_over_TLS_to_http1, nodejs_over_TLS_to_h2, nghttp, h2load_h2c,
    h2load_over_TLS, h2load_to_nghttpd, curl_upgrade, curl_in_parallel, curl_large_head, httpx_client, chromium,
]
