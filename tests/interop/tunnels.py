#!/usr/bin/env python3
"""What switches protocols, through rosn: WebSockets, CONNECT and Docker's streams, by clients and servers of others.

    python3 tests/interop/tunnels.py --rosn target/release/rosn [NAME...]

Each case starts rosn as an HTTP proxy between a client and a server that know nothing of it. After each case rosn has
to have closed what the case opened. A name is one that the output has, or its beginning, such as `docker`.

`--direct` leaves rosn out: with it every case has to pass as well, which says that a case is right.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import pathlib
import resource

from harness import End, Folder, Rosn, cases_of, conclude, run, same
from through import browser, cases, connect, docker, hostile, websocket

SUITES = {
    "websocket": websocket.CASES,
    "chromium": browser.CASES,
    "autobahn": cases.CASES,
    "connect": connect.CASES,
    "docker": docker.CASES,
    "hostile": hostile.CASES,
}


@dataclasses.dataclass
class Front:
    """Where the clients of a case go: to rosn, or to the server itself."""

    to: int | str
    rosn: Rosn | None
    tls: bool

    @property
    def port(self) -> int:
        return self.to

    def url(self, scheme="http") -> str:
        return f"{scheme}{'s' if self.tls else ''}://127.0.0.1:{self.port}"


@dataclasses.dataclass
class Setup:
    """What a case gets."""

    program: str
    folder: Folder
    node: pathlib.Path
    direct: bool

    @contextlib.asynccontextmanager
    async def front(self, to: int | str, at="", tls=False, cluster=None, **action):
        """rosn as an HTTP proxy, with one route to the server at `to`. Nothing may be left of what the block did."""
        if self.direct:
            yield Front(to, None, False)
            return
        listens = self.folder.shows({}) if tls else {}
        end = End(to, listens=listens, at=at, http=action, cluster=cluster or {})
        async with Rosn(self.program, self.folder.path, [end]) as rosn:
            before = len(rosn.descriptors())
            yield Front(at or end.port, rosn, tls)
            await rosn.settles(before)
            same(await rosn.counted("tunnel_active"), 0, "the number of tunnels that are counted as open")


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="the beginnings of names of cases; default: all")
    parser.add_argument("--rosn", default="target/release/rosn")
    parser.add_argument("--node", default="target/interop/tunnels/node", type=pathlib.Path,
                        help="where npm has installed ws and playwright-core")
    parser.add_argument("--direct", action="store_true", help="without rosn, to see whether the cases are right")
    options = parser.parse_args()
    # A thousand sockets are open here at a time; what the shell allows may be a thousand descriptors.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard % (1 << 63), max(soft, 8192)), hard))
    setup = Setup(options.rosn, Folder("tunnels").issue(), options.node.absolute(), options.direct)
    fit = {
        suite: [case for case in members if not (options.direct and getattr(case, "needs_rosn", False))]
        for suite, members in SUITES.items()
    }
    passed, failed = await run(cases_of(fit, setup), options.names, limit=150)
    conclude(setup.folder, passed, failed)


if __name__ == "__main__":
    asyncio.run(main())
