#!/usr/bin/env python3
"""HTTP/2 on both sides of rosn: conformance, floods, clients and servers of others; and the crate `rosn-http` alone.

    python3 tests/interop/http2.py --rosn target/release/rosn [NAME...]

Each case starts rosn between a client and a server that know nothing of it. After each case rosn has to have closed
what the case opened. A name is one that the output has, or its beginning, such as `floods`.

`--direct` leaves rosn out: with it every case that makes sense so has to pass as well, which says that a case is right.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import pathlib
import resource

from harness import End, Folder, Rosn, cases_of, conclude, run
from over_http2 import clients, conformance, directions, drain, floods, library

SUITES = {
    "conformance": conformance.CASES,
    "directions": directions.CASES,
    "clients": clients.CASES,
    "drain": drain.CASES,
    "floods": floods.CASES,
    "library": library.CASES,
}


@dataclasses.dataclass
class Front:
    """Where the clients of a case go: to rosn, or to the server itself."""

    port: int
    rosn: Rosn | None
    tls: bool

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"


@dataclasses.dataclass
class Setup:
    """What a case gets."""

    program: str
    folder: Folder
    node: pathlib.Path
    go: pathlib.Path
    peer: pathlib.Path
    direct: bool

    def end(self, to: int, tls=False, upstream="Http1", to_tls=False, protocol="Auto", **more) -> End:
        """rosn as a proxy of HTTP, with one route to the server at `to`."""
        chain = {"tls_context": self.folder.tls_context()} if tls else {}
        cluster = {"tls_context": self.folder.tls_to()} if to_tls else {}
        return End(to, http={"upstream_protocol": upstream}, protocol=protocol, chain=chain, cluster=cluster, **more)

    @contextlib.asynccontextmanager
    async def front(self, to: int, tls=False, **more):
        """rosn in front of the server at `to`. Nothing may be left of what the block did."""
        if self.direct:
            yield Front(to, None, tls)
            return
        end = self.end(to, tls, **more)
        async with self.rosn(end) as rosn:
            yield Front(end.port, rosn, tls)

    @contextlib.asynccontextmanager
    async def rosn(self, *ends: End, **more):
        async with Rosn(self.program, self.folder.path, list(ends), **more) as rosn:
            before = len(rosn.descriptors())
            yield rosn
            if rosn.process.poll() is None:
                await rosn.settles(before)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="the beginnings of names of cases; default: all")
    parser.add_argument("--rosn", default="target/release/rosn")
    parser.add_argument("--node", default="target/interop/http2/node", type=pathlib.Path,
                        help="where npm has installed playwright-core and ws")
    parser.add_argument("--go", default="target/interop/http2/go", type=pathlib.Path,
                        help="where Go has installed h2spec and h2specd")
    parser.add_argument("--examples", default="target/debug/examples", type=pathlib.Path,
                        help="where `http2_peer` of the crate rosn-http is, which is both ends of HTTP/2")
    parser.add_argument("--direct", action="store_true", help="without rosn, to see whether the cases are right")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard % (1 << 63), max(soft, 8192)), hard))
    setup = Setup(
        options.rosn, Folder("http2").issue(), options.node.absolute(), options.go.absolute(),
        options.examples.absolute() / "http2_peer", options.direct,
    )
    fit = {
        suite: [case for case in members if not (options.direct and getattr(case, "needs_rosn", False))]
        for suite, members in SUITES.items()
    }
    passed, failed = await run(cases_of(fit, setup), options.names, limit=150)
    conclude(setup.folder, passed, failed)


if __name__ == "__main__":
    asyncio.run(main())
