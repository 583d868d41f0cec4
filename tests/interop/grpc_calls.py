#!/usr/bin/env python3
"""gRPC through rosn: calls of every kind by grpcio, grpc-js and tonic, and the interoperability cases of gRPC itself.

    python3 tests/interop/grpc_calls.py --rosn target/release/rosn [NAME...]

Each case starts rosn between a client and a server that know nothing of it, over plain text or over TLS on both sides.
After each case rosn has to have closed what the case opened. A name is one that the output has, or its beginning, such
as `official`.

`--direct` leaves rosn out: with it every case that makes sense so has to pass as well, which says that a case is right.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import pathlib

from harness import End, Folder, Rosn, cases_of, conclude, run
from over_grpc import calls, official, peers

SUITES = {"calls": calls.CASES, "peers": peers.CASES, "official": official.CASES}


@dataclasses.dataclass
class Front:
    """Where the clients of a case go: to rosn, or to the server itself."""

    port: int
    rosn: Rosn | None


@dataclasses.dataclass
class Setup:
    """What a case gets."""

    program: str
    folder: Folder
    node: pathlib.Path
    go: pathlib.Path
    rust: pathlib.Path
    direct: bool

    def end(self, to: int, tls=False, http=None, cluster=None, **more) -> End:
        chain = {"tls_context": self.folder.tls_context()} if tls else {}
        tls_to = {"tls_context": self.folder.tls_to()} if tls else {}
        action = {"upstream_protocol": "Http2", **(http or {})}
        return End(to, http=action, protocol="Http2", chain=chain, cluster={**tls_to, **(cluster or {})}, **more)

    @contextlib.asynccontextmanager
    async def front(self, to: int, tls=False, **more):
        """rosn in front of the server at `to`. Nothing may be left of what the block did."""
        if self.direct:
            yield Front(to, None)
            return
        async with self.plain(to, tls, **more) as front:
            before = len(front.rosn.descriptors())
            yield front
            await front.rosn.settles(before)

    @contextlib.asynccontextmanager
    async def plain(self, to: int, tls=False, **more):
        """The same without a look at what is left."""
        end = self.end(to, tls, **more)
        async with Rosn(self.program, self.folder.path, [end]) as rosn:
            yield Front(end.port, rosn)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="the beginnings of names of cases; default: all")
    parser.add_argument("--rosn", default="target/release/rosn")
    parser.add_argument("--node", default="target/interop/grpc/node", type=pathlib.Path,
                        help="where npm has installed grpc-js")
    parser.add_argument("--go", default="target/interop/grpc/go", type=pathlib.Path,
                        help="where Go has installed gRPC's interop client and server")
    parser.add_argument("--rust", default="target/interop/grpc/rust/debug", type=pathlib.Path,
                        help="where Cargo has built tonic-peer")
    parser.add_argument("--direct", action="store_true", help="without rosn, to see whether the cases are right")
    options = parser.parse_args()
    places = (place.absolute() for place in (options.node, options.go, options.rust))
    setup = Setup(options.rosn, Folder("grpc").issue(), *places, options.direct)
    fit = {
        suite: [case for case in members if not (options.direct and getattr(case, "needs_rosn", False))]
        for suite, members in SUITES.items()
    }
    passed, failed = await run(cases_of(fit, setup), options.names, limit=150)
    conclude(setup.folder, passed, failed)


if __name__ == "__main__":
    asyncio.run(main())
