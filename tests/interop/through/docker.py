"""Docker's streams: the command line that Debian ships, Python's package, and requests by hand.

The daemon is `peers/dockerd.py`, which speaks the same bytes as dockerd. All of its late output has to arrive: what it
writes after the client has ended standard input, which is the end of one direction only.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import random
import signal
import socket as sockets
import struct
import termios

import docker

from harness import eventually, same
from peers.dockerd import LATE, Daemon
from through.programs import ended, killed, output

# Debian's; other distributions of it may stand before it in the path.
CLI = "/usr/bin/docker"
MIB = 1 << 20
INPUT = random.Random("docker").randbytes(MIB)


@contextlib.asynccontextmanager
async def daemon(setup):
    path = setup.folder.path / "docker.sock"
    async with Daemon(str(path)) as running:
        yield running
        await eventually(lambda: not running.hijacked)
    path.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def both(setup, **action):
    """A daemon, and rosn before it: the daemon, and where rosn is as DOCKER_HOST has it, by TCP where it can be."""
    async with daemon(setup) as running, setup.front(f"unix:{running.path}", **action) as front:
        yield running, front.to.replace("unix:", "unix://") if setup.direct else f"tcp://127.0.0.1:{front.port}"


def command_line(setup, host: str) -> dict:
    """The environment of the command."""
    return {"DOCKER_HOST": host, "DOCKER_CONFIG": str(setup.folder.path / "docker")}


async def version(setup):
    """Plain HTTP."""
    async with both(setup) as (_, host):
        told = json.loads(await output(CLI, "version", "--format", "{{json .Server}}", **command_line(setup, host)))
        same(told["Version"], "20.10.24")


async def run_with_piped_input(setup):
    async with both(setup) as (running, host):
        same(await output(CLI, "run", "-i", "any", "cat", stdin=INPUT, **command_line(setup, host)), INPUT)
        same([request.headers["upgrade"] for request in running.requests if request.path.endswith("/attach")], ["tcp"])


async def run_with_late_output(setup):
    """It comes after the end of the input, and is no less than all."""
    async with both(setup) as (_, host):
        for size in (0, 3, MIB):
            out = await output(CLI, "run", "-i", "any", "late", stdin=INPUT[:size], **command_line(setup, host))
            same(out, LATE + b"\nread %d\n" % size)


async def run_without_input(setup):
    """Output and errors come apart, and the exit code comes by another request, which waits."""
    async with both(setup) as (_, host):
        status, out, error = await ended(CLI, "run", "any", "both", **command_line(setup, host))
        expected = [b"".join(b"%b %d\n" % (word, number) for number in range(100)) for word in (b"out", b"error")]
        same((status, [out, error]), (3, expected))


async def exec_with_piped_input(setup):
    """Its request has a body beside the Upgrade."""
    async with both(setup) as (running, host):
        running.running("box", "cat")
        same(await output(CLI, "exec", "-i", "box", "cat", stdin=INPUT, **command_line(setup, host)), INPUT)
        out = await output(CLI, "exec", "-i", "box", "late", stdin=INPUT, **command_line(setup, host))
        same(out, LATE + b"\nread %d\n" % MIB)
        starts = [request for request in running.requests if request.path.endswith("/start")]
        same([("upgrade" in request.headers, len(request.body) > 10) for request in starts], [(True, True)] * 2)


async def attach_with_piped_input(setup):
    async with both(setup) as (running, host):
        for name, program, expected in (("a", "cat", INPUT), ("b", "late", LATE + b"\nread %d\n" % MIB)):
            running.running(name, program)
            same(await output(CLI, "attach", name, stdin=INPUT, **command_line(setup, host)), expected)


class Terminal:
    """A command in a terminal of its own, for as long as the block runs."""

    def __init__(self, *command, **environment):
        self.command, self.environment = command, environment
        self.text = b""

    async def __aenter__(self):
        self.own, other = pty.openpty()
        self.size(24, 80)
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdin=other, stdout=other, stderr=other, start_new_session=True,
            env=os.environ | self.environment,
        )
        os.close(other)
        os.set_blocking(self.own, False)
        asyncio.get_running_loop().add_reader(self.own, self.read)
        return self

    async def __aexit__(self, *_):
        async with killed(self.process):
            pass
        asyncio.get_running_loop().remove_reader(self.own)
        os.close(self.own)

    def read(self):
        try:
            data = os.read(self.own, 65536)
        except OSError:  # so the end of a terminal is told
            data = b""
        self.text += data
        if not data:
            asyncio.get_running_loop().remove_reader(self.own)

    def size(self, rows: int, columns: int):
        fcntl.ioctl(self.own, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def types(self, text: bytes):
        os.write(self.own, text)

    async def shows(self, text: bytes):
        try:
            await eventually(lambda: text in self.text, 30)
        except TimeoutError:
            raise AssertionError(f"the terminal does not show {text!r} but {self.text[-1000:]!r}") from None


async def in_a_terminal(setup, host: str, *arguments):
    """Types, is answered, changes the size, and ends by a command."""
    async with Terminal(CLI, *arguments, **command_line(setup, host)) as terminal:
        await terminal.shows(b"ready")
        terminal.types(b"hello\r")
        await terminal.shows(b"you said <hello>")
        # The command asks for sizes as long as it runs; it learns of one by a signal.
        terminal.size(50, 132)
        terminal.process.send_signal(signal.SIGWINCH)
        await terminal.shows(b"size 50 x 132")
        for number in range(50):
            terminal.types(b"line %d\r" % number)
            await terminal.shows(b"you said <line %d>" % number)
        terminal.types(b"exit 7\r")
        same(await asyncio.wait_for(terminal.process.wait(), 30), 7, "the exit code")


async def exec_in_a_terminal(setup):
    async with both(setup) as (running, host):
        running.running("box", "cat")
        await in_a_terminal(setup, host, "exec", "-it", "box", "shell")


async def run_in_a_terminal(setup):
    async with both(setup) as (_, host):
        await in_a_terminal(setup, host, "run", "-it", "any", "shell")


async def attach_in_a_terminal(setup):
    async with both(setup) as (running, host):
        running.running("box", "shell", tty=True)
        await in_a_terminal(setup, host, "attach", "box")


async def unix_sockets_on_both_sides(setup):
    at = f"unix:{setup.folder.path}/rosn.sock"
    async with daemon(setup) as running, setup.front(f"unix:{running.path}", at=at) as front:
        host = front.to.replace("unix:", "unix://")
        running.running("box", "cat")
        out = await output(CLI, "run", "-i", "any", "late", stdin=INPUT, **command_line(setup, host))
        same(out, LATE + b"\nread %d\n" % MIB)
        await in_a_terminal(setup, host, "exec", "-it", "box", "shell")


async def package_of_python(setup):
    """Another client of the same API. It loses what comes in one piece with the 101, so programs here read first."""

    def use(host):
        client = docker.APIClient(base_url=host, version="1.41", timeout=60)
        try:
            made = client.exec_create("box", ["late"], stdin=True)
            stream = client.exec_start(made["Id"], socket=True)
            plain = stream._sock  # the package's own way to end the input
            plain.settimeout(60)
            plain.sendall(INPUT)
            plain.shutdown(sockets.SHUT_WR)
            taken = b"".join(data for _, data in docker.utils.socket.frames_iter(stream, tty=False))
            stream.close()
            same(taken, LATE + b"\nread %d\n" % MIB, "what exec printed")

            stream = client.attach_socket("other", params={"stdin": 1, "stdout": 1, "stream": 1})
            plain = stream._sock
            plain.settimeout(60)
            plain.sendall(b"ping")
            same(docker.utils.socket.read_exactly(stream, 12)[8:], b"ping")
            plain.shutdown(sockets.SHUT_WR)
            same(docker.utils.socket.read(stream), b"")
            stream.close()
        finally:
            client.close()

    async with both(setup) as (running, host):
        running.running("box", "cat")
        running.running("other", "cat")
        await asyncio.to_thread(use, host)


@contextlib.asynccontextmanager
async def by_hand(setup, host: str):
    """A connection of bytes."""
    if host.startswith("unix://"):
        reader, writer = await asyncio.open_unix_connection(host.removeprefix("unix://"))
    else:
        reader, writer = await asyncio.open_connection(*host.removeprefix("tcp://").split(":"))
    try:
        yield reader, writer
    finally:
        writer.close()


def attach(name: str, *fields: str, **query) -> bytes:
    words = "&".join(f"{key}={value}" for key, value in {"stream": 1, "stdout": 1, **query}.items())
    lines = [f"POST /v1.41/containers/{name}/attach?{words} HTTP/1.1", "Host: docker", "Content-Length: 0", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")


async def frames(reader) -> bytes:
    """The content of frames up to the end."""
    data = b""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while head := await reader.readexactly(8):
            data += await reader.readexactly(int.from_bytes(head[4:]))
    return data


async def early_input(setup):
    """A MiB and the end of the input are sent together with the request; the daemon has to see them behind its 101."""
    async with both(setup) as (running, host):
        running.running("box", "late")
        async with by_hand(setup, host) as (reader, writer):
            writer.write(attach("box", *UPGRADE, stdin=1) + INPUT)
            writer.write_eof()
            head = await reader.readuntil(b"\r\n\r\n")
            same(head.split(b"\r\n")[0][:12], b"HTTP/1.1 101")
            same(await frames(reader), LATE + b"\nread %d\n" % MIB)


async def early_input_behind_a_body(setup):
    """The same for `exec`, whose request has a body: what follows the body is input, and only that."""
    async with both(setup) as (_, host):
        async with by_hand(setup, host) as (reader, writer):
            made = b'{"AttachStdin":true,"AttachStdout":true,"Cmd":["cat"]}'
            writer.write(post("/containers/box/exec", made))
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length:")[2].split()[0])
            name = json.loads(await reader.readexactly(size))["Id"]
            writer.write(post(f"/exec/{name}/start", b'{"Tty":true}', *UPGRADE) + INPUT)
            writer.write_eof()
            same((await reader.readuntil(b"\r\n\r\n")).split()[1], b"101")
            same(await frames(reader), INPUT)


def post(path: str, json: bytes, *fields: str) -> bytes:
    lines = [f"POST /v1.41{path} HTTP/1.1", "Host: docker", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {len(json)}", *fields, "", ""]).encode() + json


async def body(reader, head: bytes) -> bytes:
    """What is not chunked goes on to the end; one by HTTP/1.0 never is."""
    if b"\r\ntransfer-encoding: chunked" not in head.lower():
        return await reader.read(-1)
    data = b""
    while size := int(await reader.readline(), 16):
        data += await reader.readexactly(size)
        await reader.readexactly(2)
    return data


async def raw_without_upgrade(setup):
    """The daemon answers 200, and its bytes go on to the end: all come, also for a client that has ended its side."""
    length = sum(8 + len(f"{word} {number}\n") for word in ("out", "error") for number in range(100))
    async with both(setup) as (running, host):
        for version in ("1.0", "1.1"):
            for ends in (False, True):
                running.running(version, "both")
                async with by_hand(setup, host) as (reader, writer):
                    writer.write(attach(version, "Connection: close").replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
                    if ends:
                        writer.write_eof()
                    head = await reader.readuntil(b"\r\n\r\n")
                    same(head.split()[1], b"200")
                    same((version, b"chunked" in head.lower()), (version, version == "1.1" and not setup.direct))
                    same(len(await body(reader, head)), length, "the length of what came")


async def many_at_once(setup):
    """Sixty streams, each with a MiB both ways and all of it late."""

    async def one(host, name):
        async with by_hand(setup, host) as (reader, writer):
            writer.write(attach(name, *UPGRADE, stdin=1))
            await reader.readuntil(b"\r\n\r\n")
            writer.write(INPUT)
            writer.write_eof()
            same(await frames(reader), LATE + b"\nread %d\n" % MIB)

    async with both(setup) as (running, host):
        for number in range(60):
            running.running(f"box{number}", "late")
        await asyncio.gather(*(one(host, f"box{number}") for number in range(60)))


CASES = [
    version, run_with_piped_input, run_with_late_output, run_without_input, exec_with_piped_input,
    attach_with_piped_input, exec_in_a_terminal, run_in_a_terminal, attach_in_a_terminal,
    unix_sockets_on_both_sides, package_of_python, early_input,
    early_input_behind_a_body, raw_without_upgrade, many_at_once,
]
