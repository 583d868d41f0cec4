"""HTTP/1 and HTTP/2, plain and over TLS, on either side of rosn: bodies, trailers, 1xx, cookies, resets."""

import asyncio
import contextlib
import hashlib
import json
import random
import re
import socket
import struct

from harness import same
from over_http2.servers import origin
from through.programs import ended, killed, output

MIB = 1 << 20
# How curl asks, and whether over TLS.
DOWN = {
    "http1": (["--http1.1"], False),
    "h2c": (["--http2-prior-knowledge"], False),
    "http1 over TLS": (["--http1.1"], True),
    "h2": (["--http2"], True),
}
# The origin's protocol, what rosn is told of it, and whether over TLS.
UP = {"http1": ("Http1", False), "h2c": ("Http2", False), "h2": ("Http2", True)}
SIZES = [0, 1, 16_384, MIB + 1]
HUGE = 64 * MIB


@contextlib.asynccontextmanager
async def every_direction(setup):
    """A list of names, options of curl, and addresses."""
    async with contextlib.AsyncExitStack() as stack:
        origins = {up: await stack.enter_async_context(origin(setup, up)) for up in UP}
        if setup.direct:
            same_protocol = {"http1": "http1", "h2c": "h2c", "h2": "h2", "http1 over TLS": "h2"}
            yield [
                (down, options, f"http{'s' if tls else ''}://127.0.0.1:{origins[same_protocol[down]]}")
                for down, (options, tls) in DOWN.items()
            ]
            return
        ends = {
            (tls, up): setup.end(origins[up], tls, upstream=upstream, to_tls=to_tls)
            for tls in (False, True)
            for up, (upstream, to_tls) in UP.items()
        }
        await stack.enter_async_context(setup.rosn(*ends.values()))
        yield [
            (f"{down} to {up}", options, f"http{'s' if tls else ''}://127.0.0.1:{ends[tls, up].port}")
            for down, (options, tls) in DOWN.items()
            for up in UP
        ]


def curl(setup, *arguments):
    return ["curl", "--silent", "--show-error", "--max-time", "100", "--noproxy", "*", "--cacert", setup.folder.ca,
            *arguments]


async def says_where(name: str, work):
    try:
        return await work
    except (AssertionError, TimeoutError) as error:
        raise AssertionError(f"{name}: {error!r}") from error


async def bodies(setup):
    """Of every size, in both directions at once, unchanged."""
    data = {size: random.Random(size).randbytes(size) for size in SIZES}

    async def echoes(options, url, size):
        upload = setup.folder.path / f"upload-{size}"
        upload.write_bytes(data[size])
        same(await output(*curl(setup, *options, "--upload-file", upload, f"{url}/echo")), data[size])

    async with every_direction(setup) as directions:
        for name, options, url in directions:
            for size in SIZES:
                await says_where(f"{name}, {size} bytes", echoes(options, url, size))


async def huge_bodies(setup):
    """64 MiB up, and the same down, at once."""
    upload = setup.folder.path / "huge"
    with upload.open("wb") as file:
        block = random.Random("huge").randbytes(MIB)
        for number in range(HUGE // MIB):
            file.write(block[number:] + block[:number])
    digest = hashlib.sha256(upload.read_bytes()).hexdigest()
    got = setup.folder.path / "huge-got"
    async with every_direction(setup) as directions:
        for name, options, url in directions:
            await says_where(name, output(*curl(setup, *options, "-T", upload, "--output", got, f"{url}/echo")))
            with got.open("rb") as file:
                same(hashlib.file_digest(file, "sha256").hexdigest(), digest, f"{name}: what came back")
    for file in (upload, got):
        file.unlink()


async def trailers_of_responses(setup):
    """curl shows them after the head; the digest is of the body."""
    data = random.Random("trailers").randbytes(100_000)
    upload = setup.folder.path / "trailers"
    upload.write_bytes(data)
    async with every_direction(setup) as directions:
        for name, options, url in directions:
            heads = setup.folder.path / "heads"
            # HTTP/1 has trailers for those who say that they take them.
            asks = ["--header", "TE: trailers", "--dump-header", heads, "--upload-file", upload, f"{url}/echo"]
            same(await output(*curl(setup, *options, *asks)), data, name)
            digests = re.findall(r"(?m)^x-digest: (\w+)", heads.read_text())
            same(digests, [hashlib.sha256(data).hexdigest()], f"{name}: the digest in the trailers")


async def asked(setup):
    """What the origin sees: the method, the path, the authority, one line of cookies; and no field of a hop."""
    async with every_direction(setup) as directions:
        for name, options, url in directions:
            fields = ["Cookie: a=1; b=2", "Connection: keep-alive", "X-Several: one", "X-Several: two", "X-Empty;",
                      "TE: trailers", "X-Bytes: \u00e9"]
            heads = setup.folder.path / "heads"
            asks = [word for field in fields for word in ("--header", field)] + ["--dump-header", heads]
            answer = json.loads(await output(*curl(setup, *options, *asks, "-X", "PATCH", f"{url}/asked?q=%20x")))
            got = answer["headers"]
            same((answer["method"], answer["url"]), ("PATCH", "/asked?q=%20x"), name)
            same(got.get(":authority", got.get("host")), url.partition("//")[2], f"{name}: the authority")
            same((got["cookie"], got["x-several"], got["x-empty"]), ("a=1; b=2", "one, two", ""), name)
            same([line.strip() for line in heads.read_text().splitlines() if line.lower().startswith("set-cookie")],
                 ["set-cookie: a=1", "set-cookie: b=2; Path=/"], f"{name}: the cookies that are set")


async def early_hints(setup):
    """103 comes first, and 200 after it."""
    async with every_direction(setup) as directions:
        for name, options, url in directions:
            heads = setup.folder.path / "heads"
            text = await output(*curl(setup, *options, "--dump-header", heads, f"{url}/hints"))
            same(text, b"hinted", name)
            same(re.findall(r"(?m)^HTTP/[\d.]+ (\d+)", heads.read_text()), ["103", "200"], f"{name}: the statuses")
            same(re.findall(r"(?mi)^link: (.*?)\r?$", heads.read_text()), ["</style.css>; rel=preload; as=style"], name)


async def expects_100(setup):
    """curl waits for 100 before it sends a body, for a minute if it has to."""
    data = bytes(MIB)
    upload = setup.folder.path / "expects"
    upload.write_bytes(data)
    expected = f"{MIB} {hashlib.sha256(data).hexdigest()}".encode()
    async with every_direction(setup) as directions:
        for name, options, url in directions:
            asks = ["--header", "Expect: 100-continue", "--expect100-timeout", "60", "-T", upload, f"{url}/digest"]
            same(await output(*curl(setup, *options, *asks)), expected, name)


async def statuses_without_body(setup):
    async with every_direction(setup) as directions:
        for name, options, url in directions:
            for status in (204, 304, 404):
                shown = ["--write-out", "%{http_code} %{size_download}", f"{url}/status/{status}"]
                same(await output(*curl(setup, *options, *shown)), f"{status} 0".encode(), name)
            shown = ["--head", "--write-out", "%{http_code}", "--output", "/dev/null", f"{url}/bytes/100"]
            same(await output(*curl(setup, *options, *shown)), b"200", f"{name}: HEAD")


async def cancelled_by_the_client(setup):
    """The origin learns that nobody waits any more, before its answer and in the middle of it."""
    async with every_direction(setup) as directions:
        for number, (name, options, url) in enumerate(directions):
            for path in ("hangs", "silent"):
                await says_where(f"{name}, {path}", cancels(setup, options, url, path, f"{path}-{number}"))


async def cancels(setup, options, url, path, case):
    async def says(what):
        return await output(*curl(setup, *options, f"{url}/{what}/{case}")) == b"true"

    async def becomes(what):
        async with asyncio.timeout(20):
            while not await says(what):
                await asyncio.sleep(0.02)

    gives_up = resets if "--http1.1" in options else killed_curl
    async with gives_up(setup, options, url, f"/{path}/{case}") as reader:
        await becomes("started")
        if path == "hangs":
            await asyncio.wait_for(reader.readuntil(b"some"), 20)
        same(await says("cancelled"), False, "that the origin has seen the end before there was one")
    await becomes("cancelled")


@contextlib.asynccontextmanager
async def killed_curl(setup, options, url, path):
    command = curl(setup, *options, "--no-buffer", url + path)
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=asyncio.subprocess.PIPE)
    async with killed(process):
        yield process.stdout


@contextlib.asynccontextmanager
async def resets(setup, options, url, path):
    """In HTTP/1 the end of what a client sends may be all that it means; who is gone has reset the connection."""
    scheme, _, host = url.partition("://")
    address = host.split(":")
    context = {"ssl": setup.folder.client_context(), "server_hostname": "interop.test"} if scheme == "https" else {}
    reader, writer = await asyncio.open_connection(*address, **context)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    yield reader
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def broken_by_the_server(setup):
    """A body that is broken off is never a whole one."""
    async with every_direction(setup) as directions:
        for name, options, url in directions:
            status, out, error = await ended(*curl(setup, *options, f"{url}/breaks"))
            # 18: a part only; 56: the connection broke; 92: the stream was not closed cleanly
            if status not in (18, 56, 92):
                raise AssertionError(f"{name}: curl ended with {status}: {error!r} {out!r}")


async def chain_of_two(setup):
    """HTTP/1 to rosn, HTTP/2 between two of them, HTTP/1 at the end; and HTTP/2, HTTP/1, HTTP/2."""
    data = random.Random("chain").randbytes(8 * MIB)
    upload = setup.folder.path / "chain"
    upload.write_bytes(data)
    for options, protocol, between in ((["--http1.1"], "http1", "h2c"), (["--http1.1"], "http1", "h2"),
                                       (["--http2-prior-knowledge"], "h2c", "http1")):
        async with origin(setup, protocol) as to:
            upstream, tls = UP[between]
            last = setup.end(to, tls, upstream=UP[protocol][0], to_tls=UP[protocol][1])
            first = setup.end(last.port, upstream=upstream, to_tls=tls)
            async with setup.rosn(last), setup.rosn(first):
                heads = setup.folder.path / "heads"
                url = f"http://127.0.0.1:{first.port}/echo"
                asks = ["--header", "TE: trailers", "--dump-header", heads, "-T", upload, url]
                same(await output(*curl(setup, *options, *asks)), data, f"by {between}")
                same(heads.read_text().count(hashlib.sha256(data).hexdigest()), 1, f"by {between}: trailers")


chain_of_two.needs_rosn = True

CASES = [
    bodies, huge_bodies, trailers_of_responses, asked, early_hints, expects_100, statuses_without_body,
    cancelled_by_the_client, broken_by_the_server, chain_of_two,
]
