"""h2spec through rosn to servers of others, and h2specd as the server that rosn is a client of.

h2spec has 145 cases, and one more that is strict. Version 2.2.1 is the last one that Go's module proxy serves.
"""

import re
import sys

from harness import next_port, same
from over_http2.servers import nghttpd, nginx
from through.programs import ended

CASES_OF_H2SPEC = 146
CASES_OF_H2SPECD = 57
# The cases of h2specd that a proxy passes for another reason than the suite thinks of, or cannot pass: by section and
# number, with the reason.
NOT_FOR_A_PROXY: dict[str, str] = {}
SUMMARY = re.compile(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed")


async def h2spec(setup, port: int, *options, but=()):
    """All of them pass, but for those of the server itself, when there is no rosn."""
    command = [setup.go / "h2spec", "--strict", "--host", "127.0.0.1", "--port", port, "--timeout", "2", *options]
    _, out, error = await ended(*command)
    text = (out + error).decode()
    summary = SUMMARY.search(text)
    if not summary:
        raise AssertionError(f"h2spec says {text[-1000:]}")
    print(f"       h2spec: {summary[0]}")
    if setup.direct:
        # nghttpd and nginx do not pass all of them; the suite has run.
        same(int(summary[1]), CASES_OF_H2SPEC, "the number of cases")
        return
    if int(summary[2]) != CASES_OF_H2SPEC:
        raise AssertionError(f"{summary[0]}: {text[text.find('Failures:'):][:6000]}")


async def h2spec_to_http1(setup):
    """Prior knowledge, to nginx by HTTP/1."""
    async with nginx(setup, *(["http2"] if setup.direct else [])) as to, setup.front(to) as front:
        await h2spec(setup, front.port)


async def h2spec_over_TLS(setup):
    async with nginx(setup, *(["ssl", "http2"] if setup.direct else [])) as to, setup.front(to, tls=True) as front:
        await h2spec(setup, front.port, "--tls", "--insecure")


async def h2spec_to_http2(setup):
    """nghttpd speaks HTTP/2, too."""
    async with nghttpd(setup) as to, setup.front(to, upstream="Http2") as front:
        await h2spec(setup, front.port)


async def h2specd(setup, *options, **more):
    """Each case is a server on a port of its own, which says what is wrong with how the client takes what it sends."""
    first = next_port() + 200
    ends = [setup.end(first + number, upstream="Http2", **more) for number in range(CASES_OF_H2SPECD)]
    script = setup.folder.path / "asks.py"
    script.write_text(ASKS.format({end.to: end.port for end in ends}))
    asks = f"{sys.executable} {script}"
    if setup.direct:
        asks = "nghttp --no-verify-peer --timeout=2"
    command = [setup.go / "h2specd", "--from-port", first, "--timeout", "1", "--exec", asks, *options]
    if setup.direct:
        judge((await ended(*command))[1].decode(), setup.direct)
        return
    async with setup.rosn(*ends):
        judge((await ended(*command))[1].decode(), setup.direct)


# The client that h2specd runs: it is given the address of a case, and asks rosn for it.
ASKS = """
import socket, sys
port = {}[int(sys.argv[1].rstrip("/").rpartition(":")[2])]
with socket.create_connection(("127.0.0.1", port), 2) as asking:
    asking.sendall(b"GET / HTTP/1.1\\r\\nHost: interop.test\\r\\nConnection: close\\r\\n\\r\\n")
    while asking.recv(65536):
        pass
"""


def judge(text: str, direct: bool):
    summary = SUMMARY.search(text)
    if not summary:
        raise AssertionError(f"h2specd says {text[-2000:]}")
    print(f"       h2specd: {summary[0]}")
    same(int(summary[1]), CASES_OF_H2SPECD, "the number of cases")
    failed = set(failures(text))
    if not direct and failed != set(NOT_FOR_A_PROXY):
        raise AssertionError(f"h2specd fails {failed}, not {set(NOT_FOR_A_PROXY)}: {text[text.find('Failures:'):][:6000]}")


def failures(text: str):
    """Section and number of each case that failed."""
    section = None
    for line in text.partition("Failures:")[0].splitlines():
        words = line.split()
        if words and re.fullmatch(r"\d[\d.]*\.", words[0]):
            section = words[0]
        elif words and words[0] == "×":
            yield f"{section}{words[1].rstrip(':')}"


async def h2specd_plain(setup):
    await h2specd(setup)


async def h2specd_over_TLS(setup):
    await h2specd(setup, "--tls", "--cert-file", setup.folder.certificate, "--cert-key-file", setup.folder.key,
                  to_tls=True)


CASES = [h2spec_to_http1, h2spec_over_TLS, h2spec_to_http2, h2specd_plain, h2specd_over_TLS]
