#!/usr/bin/env python3
"""rosn against programs of Python that speak what it speaks: aioquic, hyper-h2 and websockets.

    python3 tests/interop/python_peers.py --rosn target/release/rosn [NAME...]

Each case starts rosn with listeners or clusters of a transport, and is itself the other end. A name is one that the
output has, or its beginning, such as `quic` or `http listener`.
"""

import argparse
import asyncio
import dataclasses
import logging
import sys

from harness import Folder, Rosn, cases_of, conclude, run
from peers import http2, quic, websocket

SUITES = {"http": http2.CASES, "quic": quic.CASES, "ws": websocket.CASES}


@dataclasses.dataclass
class Setup:
    """What a case gets."""

    program: str
    folder: Folder

    def rosn(self, *ends) -> Rosn:
        return Rosn(self.program, self.folder.path, list(ends))


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="the beginnings of names of cases; default: all")
    parser.add_argument("--rosn", default="target/release/rosn")
    options = parser.parse_args()
    # The writers of aioquic end their streams once more when they are collected, and cannot.
    sys.unraisablehook = lambda _: None
    # It also tells of refusals, which are what some cases want.
    logging.getLogger("quic").setLevel(logging.CRITICAL)
    setup = Setup(options.rosn, Folder("peers").issue())
    passed, failed = await run(cases_of(SUITES, setup), options.names)
    conclude(setup.folder, passed, failed)


if __name__ == "__main__":
    asyncio.run(main())
