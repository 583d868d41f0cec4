"""Clients and servers of three implementations, each client with each server: grpcio, grpc-js and tonic.

A case is all that a client has to check, on one connection. What it prints is how much that was.
"""

import contextlib

from over_grpc.calls import OF_ANY_SERVER
from over_grpc.servers import Server, channel
from through.programs import node, output, serving


def grpc_js(setup, role: str, *arguments) -> list[str]:
    """A command. A server has a certificate and its key for arguments, a client the port and an authority."""
    return node(setup, f"grpc{role}.mjs", *arguments)


def tonic(setup, role: str, *arguments) -> list[str]:
    return [str(setup.rust / "tonic-peer"), role, *map(str, arguments)]


PROGRAMS = {"grpc-js": grpc_js, "tonic": tonic}
NAMES = ("grpcio", *PROGRAMS)


@contextlib.asynccontextmanager
async def server(setup, name: str, tls: bool):
    """Its port."""
    if name == "grpcio":
        async with Server(setup.folder, tls) as one:
            yield one.port
        return
    pair = (setup.folder.certificate, setup.folder.key) if tls else ()
    async with serving(*PROGRAMS[name](setup, "server", *pair)) as port:
        yield port


async def client(setup, name: str, port: int, tls: bool) -> str:
    """Runs its checks; how many."""
    if name == "grpcio":
        for check in OF_ANY_SERVER:
            async with channel(setup.folder, port, tls) as one:
                await check(None, one)
        return f"{len(OF_ANY_SERVER)} cases"
    said = await output(*PROGRAMS[name](setup, "client", port, *([setup.folder.ca] if tls else [])))
    return said.decode().strip()


def case(of: str, to: str, tls: bool):
    async def run(setup):
        async with server(setup, to, tls) as port, setup.front(port, tls) as front:
            print(f"       {await client(setup, of, front.port, tls)}")

    run.__name__ = f"{of} to {to} over {'TLS' if tls else 'h2c'}"
    # Neither end of tonic has a deadline for streams: it is rosn's.
    run.needs_rosn = of == to == "tonic"
    return run


# grpcio with itself is what `calls` are.
CASES = [
    case(of, to, tls)
    for tls in (False, True) for of in NAMES for to in NAMES if (of, to) != ("grpcio", "grpcio")
]
