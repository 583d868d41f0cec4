"""The crate `rosn-http` at either end: its example `http2_peer`, and Go's net/http and Node.js at the other."""

from harness import same
from over_http2.servers import origin
from through.programs import HERE, node, output, serving


async def go(setup) -> str:
    """The program of `go/`."""
    program = setup.folder.path / "http2peer"
    if not program.exists():
        await output("sh", "-c", f"cd '{HERE}/go' && go build -o '{program}' .", GOFLAGS="-buildvcs=false")
    return str(program)


async def has_plain(setup) -> bool:
    """Whether Go has HTTP/2 without TLS."""
    return (await output(await go(setup), "plain")) == b"true\n"


def secret(setup, tls: bool) -> list[str]:
    return [setup.folder.certificate, setup.folder.key] if tls else []


def where(setup, port: int, tls: bool) -> list[str]:
    """What a client of ours is told."""
    return [f"https://127.0.0.1:{port}", setup.folder.ca] if tls else [f"http://127.0.0.1:{port}"]


async def nodejs_asks_rosn_http(setup):
    for tls in (False, True):
        async with serving(str(setup.peer), "serve", *secret(setup, tls)) as port:
            url = where(setup, port, tls)[0]
            same(await output(*node(setup, "http2client.mjs", url, setup.folder.ca)), b"8 checks\n")


async def rosn_http_asks_nodejs(setup):
    for tls in (False, True):
        async with origin(setup, "h2" if tls else "h2c") as port:
            same(await output(setup.peer, "ask", *where(setup, port, tls)), b"7 checks\n")


async def Go_asks_rosn_http(setup):
    for tls in (False, True) if await has_plain(setup) else (True,):
        async with serving(str(setup.peer), "serve", *secret(setup, tls)) as port:
            same(await output(await go(setup), "ask", *where(setup, port, tls)), b"7 checks\n")


async def rosn_http_asks_Go(setup):
    for tls in (False, True) if await has_plain(setup) else (True,):
        async with serving(await go(setup), "serve", *secret(setup, tls)) as port:
            same(await output(setup.peer, "ask", *where(setup, port, tls)), b"7 checks\n")


async def rosn_http_asks_rosn_http(setup):
    for tls in (False, True):
        async with serving(str(setup.peer), "serve", *secret(setup, tls)) as port:
            same(await output(setup.peer, "ask", *where(setup, port, tls)), b"7 checks\n")


CASES = [
    nodejs_asks_rosn_http, rosn_http_asks_nodejs, Go_asks_rosn_http, rosn_http_asks_Go, rosn_http_asks_rosn_http,
]
for case in CASES:
    case.needs_rosn = True
