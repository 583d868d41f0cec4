"""h2spec through rosn to nginx, and h2specd as the server that rosn is a client of.

h2spec has 145 cases, and one more that is strict. Version 2.2.1 is the last one that Go's module proxy serves.
"""

import re
import sys
from collections.abc import Set

from harness import next_port, same
from over_http2.servers import nginx
from through.programs import ended

CASES_OF_H2SPEC = 146
CASES_OF_H2SPECD = 57
# The cases of h2specd, by section and number, that end otherwise once rosn has done with the stream: always where the
# request is complete before the case begins; and while its body is under way, where the response, which is whole by then,
# has been passed on before the case's frame comes.
OF_A_STREAM_THAT_IS_OVER = {
    "5.1.8": "DATA on a closed stream resets it: the crate h2 keeps nothing of a stream that is over, so it cannot tell "
             "a fault from what has crossed its own reset",
    "5.1.9": "the same for HEADERS",
    "6.1.2": "the same: DATA that crosses a reset of ours is dropped",
    "6.9.1.2": "nothing is sent any more on the stream, so nobody counts its window, and it cannot overflow",
}
UNDER_WAY = b"POST / HTTP/1.1\r\nHost: interop.test\r\nContent-Length: 9\r\nConnection: close\r\n\r\nsome"
COMPLETE = b"GET / HTTP/1.1\r\nHost: interop.test\r\nConnection: close\r\n\r\n"
SUMMARY = re.compile(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed")


async def h2spec(setup, port: int, *options, but=0) -> str:
    """All of them pass, but for so many; and but for those of the server itself, when there is no rosn."""
    # An answer that comes before the request is whole could be first to arrive where a case wants an error.
    command = [setup.go / "h2spec", "--strict", "--host", "127.0.0.1", "--port", port, "--timeout", "2", "--path", "/whole"]
    command += options
    _, out, error = await ended(*command)
    text = (out + error).decode()
    summary = SUMMARY.search(text)
    if not summary:
        raise AssertionError(f"h2spec says {text[-1000:]}")
    print(f"       h2spec: {summary[0]}")
    # nginx does not pass all of them by itself; the suite has run.
    same(int(summary[1]), CASES_OF_H2SPEC, "the number of cases")
    failed = text[text.find("Failures:") :]
    if not setup.direct and int(summary[2]) != CASES_OF_H2SPEC - but:
        raise AssertionError(f"{summary[0]}: {failed[:6000]}")
    return failed


async def h2spec_to_http1(setup):
    """Prior knowledge, to nginx by HTTP/1."""
    async with nginx(setup, *(["http2"] if setup.direct else [])) as to, setup.front(to, protocol="Http2") as front:
        await h2spec(setup, front.port)


async def h2spec_over_TLS(setup):
    async with nginx(setup, *(["ssl", "http2"] if setup.direct else [])) as to, setup.front(to, tls=True) as front:
        await h2spec(setup, front.port, "--tls", "--insecure")


async def h2spec_to_http2(setup):
    """nginx speaks HTTP/2, too."""
    async with nginx(setup, "http2") as to, setup.front(to, upstream="Http2", protocol="Http2") as front:
        await h2spec(setup, front.port)


async def h2spec_where_HTTP1_is_spoken_too(setup):
    """A preface that is none is a request of HTTP/1 there, and is refused as one: 400, which h2spec cannot read."""
    async with nginx(setup) as to, setup.front(to) as front:
        failed = await h2spec(setup, front.port, but=1)
        same(failed.count("Sends invalid connection preface"), 1, f"one case in {failed}")


h2spec_where_HTTP1_is_spoken_too.needs_rosn = True


async def h2specd(setup, *options, request=UNDER_WAY, **more):
    """Each case is a server on a port of its own, which says what is wrong with how the client takes what it sends."""
    first = next_port() + 200
    ends = [setup.end(first + number, upstream="Http2", protocol="Http1", **more) for number in range(CASES_OF_H2SPECD)]
    script = setup.folder.path / "asks.py"
    script.write_text(ASKS.format(ports={end.to: end.port for end in ends}, request=request))
    asks = f"{sys.executable} {script}"
    if setup.direct:
        asks = "nghttp --no-verify-peer --timeout=2"
    command = [setup.go / "h2specd", "--from-port", first, "--timeout", "1", "--exec", asks, *options]
    if setup.direct:
        judge((await ended(*command))[1].decode(), None)
        return
    async with setup.rosn(*ends):
        judge((await ended(*command))[1].decode(), OF_A_STREAM_THAT_IS_OVER.keys())


# The client that h2specd runs: it is given the address of a case, and asks rosn for it.
ASKS = """
import socket, sys
port = {ports}[int(sys.argv[1].rstrip("/").rpartition(":")[2])]
with socket.create_connection(("127.0.0.1", port), 2) as asking:
    asking.sendall({request})
    while asking.recv(65536):
        pass
"""


def judge(text: str, expected: Set[str] | None):
    """Only these may fail; None is any."""
    summary = SUMMARY.search(text)
    if not summary:
        raise AssertionError(f"h2specd says {text[-2000:]}")
    print(f"       h2specd: {summary[0]}")
    same(int(summary[1]), CASES_OF_H2SPECD, "the number of cases")
    failed = set(failures(text))
    if expected is not None and not failed <= expected:
        raise AssertionError(f"h2specd fails {failed - expected}: {text[text.find('Failures:'):][:6000]}")


def failures(text: str):
    """Section and number of each case that failed."""
    section = None
    for line in text.partition("Failures:")[0].splitlines():
        words = line.split()
        if words and re.fullmatch(r"\d[\d.]*\.", words[0]):
            section = words[0]
        elif words and words[0] == "×":
            yield f"{section}{words[1].rstrip(':')}"


async def h2specd_during_a_body(setup):
    await h2specd(setup)


async def h2specd_after_a_request(setup):
    await h2specd(setup, request=COMPLETE)


async def h2specd_over_TLS(setup):
    await h2specd(setup, "--tls", "--cert-file", setup.folder.certificate, "--cert-key-file", setup.folder.key,
                  to_tls=True)


CASES = [
    h2spec_to_http1, h2spec_over_TLS, h2spec_to_http2, h2spec_where_HTTP1_is_spoken_too, h2specd_during_a_body,
    h2specd_after_a_request, h2specd_over_TLS,
]
