"""What is behind rosn: a server that answers with what it was asked; and openssl's client in front."""

import asyncio
import contextlib

from through.programs import ended


@contextlib.asynccontextmanager
async def web(*lines: bytes):
    """HTTP/1.1, plain: the body of each answer is the head of the request, and `lines` are in its own. Its port."""
    more = b"".join(line + b"\r\n" for line in lines)

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(head), more, head))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


REQUEST = b"GET /asked HTTP/1.1\r\nHost: interop.test\r\nConnection: close\r\n\r\n"


async def s_client(setup, port: int, *options, name="interop.test", stdin=REQUEST) -> tuple[bool, str]:
    """Whether a request was answered, and all that openssl has to say."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", setup.folder.ca, "-ign_eof"]
    command += ["-servername", name, "-verify_hostname", name] if name else ["-noservername"]
    _, out, error = await asyncio.wait_for(ended(*command, *options, stdin=stdin), 30)
    text = (out + error).decode(errors="replace")
    return "HTTP/1.1 200" in text, text


async def accepted(setup, port: int, *options, **more) -> str:
    good, text = await s_client(setup, port, *options, "-verify_return_error", **more)
    if not good:
        raise AssertionError(f"openssl {options} is refused: {text[-1500:]}")
    return text


async def refused(setup, port: int, *options, **more) -> str:
    good, text = await s_client(setup, port, *options, **more)
    if good:
        raise AssertionError(f"openssl {options} is let in: {text[:1500]}")
    return text


def subject(text: str) -> str:
    """Of the certificate that the server has shown."""
    line = next((line for line in text.splitlines() if line.strip().startswith("subject=")), "none")
    return line.partition("CN")[2].strip(" =")


def has(text: str, *words: str):
    for word in words:
        if word not in text:
            raise AssertionError(f"nothing about {word!r} in: {text[-3000:]}")
