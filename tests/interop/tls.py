#!/usr/bin/env python3
"""TLS on both sides of rosn: openssl, curl, browsers' handshakes, scanners, and certificates that change under load.

    python3 tests/interop/tls.py --rosn target/release/rosn [NAME...]

A name is one that the output has, or its beginning, such as `openssl`.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import pathlib
import sys

from harness import End, Folder, Rosn, cases_of, conclude, run
from over_tls import check, handshakes, peers, rotation, routing, scanners

SUITES = {
    "openssl": handshakes.CASES,
    "routing": routing.CASES,
    "peers": peers.CASES,
    "rotation": rotation.CASES,
    "check": check.CASES,
    "scanners": scanners.CASES,
}


@dataclasses.dataclass
class Setup:
    """What a case gets."""

    program: str
    folder: Folder

    def binary(self, name: str) -> pathlib.Path:
        """A program of the Python that runs this."""
        return pathlib.Path(sys.executable).parent / name

    def end(self, to: int, *contexts: dict, protocol="Auto", **more) -> End:
        """rosn with TLS, as a proxy of HTTP with one route to the server at `to`."""
        contexts = contexts or (self.folder.tls_context(),)
        chain = {"tls_context": contexts[0]} if len(contexts) == 1 else {"tls_context_set": list(contexts)}
        return End(to, **{"http": {"upstream_protocol": "Http1"}, "protocol": protocol, "chain": chain, **more})

    def plain(self, to: int, **more) -> End:
        """rosn without TLS, with a route to a server that has it."""
        return End(to, **{"http": {"upstream_protocol": "Http1"}, **more})

    @contextlib.asynccontextmanager
    async def rosn(self, *ends: End, **more):
        """Nothing may be left of what the block did."""
        async with Rosn(self.program, self.folder.path, list(ends), **more) as rosn:
            before = len(rosn.descriptors())
            yield rosn
            if rosn.process.poll() is None:
                await rosn.settles(before)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="the beginnings of names of cases; default: all")
    parser.add_argument("--rosn", default="target/release/rosn")
    options = parser.parse_args()
    setup = Setup(options.rosn, Folder("tls").issue())
    passed, failed = await run(cases_of(SUITES, setup), options.names, limit=240)
    conclude(setup.folder, passed, failed)


if __name__ == "__main__":
    asyncio.run(main())
