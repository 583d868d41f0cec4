#!/usr/bin/env python3
"""A daemon that speaks Docker's API to the letter and has no containers, only functions of Python.

    python3 tests/interop/peers/dockerd.py /tmp/docker.sock
    docker -H unix:///tmp/docker.sock run -i any cat

A container is the name of a program of PROGRAMS and a terminal or none. What matters here is what dockerd does with a
connection: it answers `Upgrade: tcp` with 101 (or, where none is asked for, with 200 and bytes up to the end), speaks
at once, and sees the end of standard input as the end of one direction only.
"""

import asyncio
import dataclasses
import itertools
import json
import random
import sys
from urllib.parse import parse_qs, urlsplit

VERSION = "1.41"
MIB = 1 << 20
# What comes out late, after standard input has ended: the same for everybody who wants to compare.
LATE = random.Random("late").randbytes(MIB)


async def cat(process):
    """Echoes, until standard input ends."""
    while data := await process.read():
        await process.out(data)
    return 0


async def late(process):
    """Reads all there is, and only then has something to say. Beyond what buffers hold."""
    seen = 0
    while data := await process.read():
        seen += len(data)
    for at in range(0, MIB, 10_000):
        await process.out(LATE[at : at + 10_000])
    await process.out(f"\nread {seen}\n".encode())
    return 0


async def both(process):
    """Writes to standard output and to standard error, and reads nothing."""
    for number in range(100):
        await process.out(f"out {number}\n".encode())
        await process.error(f"error {number}\n".encode())
    return 3


async def shell(process):
    """A terminal: what is typed is shown and answered; `exit N` ends it; a new size is told."""
    await process.out(b"ready\r\n")
    line = b""
    while True:
        data = await process.read_or_resize()
        if isinstance(data, tuple):
            await process.out(b"size %d x %d\r\n" % data)
            continue
        if not data:
            return 0
        await process.out(data.replace(b"\r", b"\r\n"))
        *lines, line = (line + data.replace(b"\n", b"\r")).split(b"\r")
        for typed in lines:
            if typed.startswith(b"exit "):
                return int(typed[5:])
            await process.out(b"you said <" + typed + b">\r\n")


async def unknown(process):
    await process.error(f"{process.program}: not found\n".encode())
    return 127


PROGRAMS = {"cat": cat, "late": late, "both": both, "shell": shell}


class Process:
    """A program that runs, in a container or by `exec`."""

    def __init__(self, program: str, tty: bool, stdin: bool):
        self.id = f"{next(IDS):064x}"
        self.program, self.tty, self.stdin = program, tty, stdin
        self.code = None
        self.started, self.attached, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.input = asyncio.Queue(64)
        self.writer = None

    async def run(self):
        await self.attached.wait()
        try:
            self.code = await PROGRAMS.get(self.program, unknown)(self)
        except OSError:
            self.code = 137  # the one who read it is gone
        self.ended.set()

    async def attach(self, reader, writer, stdin: bool):
        """The connection is the process's own until that has ended."""
        self.writer = writer
        reading = asyncio.create_task(self.feed(reader)) if stdin else None
        self.attached.set()
        await self.ended.wait()
        if reading:
            reading.cancel()

    async def feed(self, reader):
        try:
            while data := await reader.read(65536):
                await self.input.put(data)
        except OSError:
            pass
        await self.input.put(b"")

    async def read(self) -> bytes:
        while isinstance(data := await self.input.get(), tuple):
            pass
        return data

    async def read_or_resize(self):
        return await self.input.get()

    async def resize(self, height: int, width: int):
        await self.input.put((height, width))

    async def out(self, data: bytes):
        await self.write(1, data)

    async def error(self, data: bytes):
        await self.write(2, data)

    async def write(self, stream: int, data: bytes):
        head = b"" if self.tty else bytes([stream, 0, 0, 0]) + len(data).to_bytes(4)
        self.writer.write(head + data)
        await self.writer.drain()


@dataclasses.dataclass
class Request:
    method: str
    path: str  # without the version
    query: dict
    headers: dict
    body: bytes

    def flag(self, name: str) -> bool:
        return self.query.get(name) in ("1", "true", "True")

    def json(self) -> dict:
        return json.loads(self.body or b"{}")


class Daemon:
    """For as long as the block runs, on this socket."""

    def __init__(self, path: str):
        self.path = path
        self.containers, self.execs = {}, {}
        self.requests = []  # what it was asked for
        self.tasks = set()
        self.hijacked = 0  # how many connections are now

    async def __aenter__(self):
        self.server = await asyncio.start_unix_server(self.serve, self.path)
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def serve(self, reader, writer):
        try:
            while request := await read_request(reader):
                self.requests.append(request)
                if not await self.answer(request, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client is gone
        finally:
            writer.close()

    async def answer(self, request: Request, reader, writer) -> bool:
        """Whether the connection goes on with HTTP."""
        match request.method, *request.path.strip("/").split("/"):
            case "HEAD" | "GET", "_ping":
                reply(writer, 200, b"" if request.method == "HEAD" else b"OK", "text/plain")
            case "GET", "version":
                reply(writer, 200, {"Version": "20.10.24", "ApiVersion": VERSION, "Os": "linux", "Arch": "amd64"})
            case "GET", "info":
                reply(writer, 200, {"OSType": "linux", "ServerVersion": "20.10.24", "ID": "fake"})
            case "POST", "containers", "create":
                wanted = request.json()
                made = self.create(request.query.get("name"), wanted)
                reply(writer, 201, {"Id": made.id, "Warnings": []})
            case "GET", "containers", name, "json":
                process = self.containers.get(name)
                reply(writer, 200, described(name, process)) if process else missing(writer, name)
            case "POST", "containers", name, "start":
                self.start(self.containers[name])
                reply(writer, 204)
            case "POST", "containers", name, "wait":
                # The head goes out at once: the client starts the container when it has seen it.
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
                await self.containers[name].ended.wait()
                answer = json.dumps({"StatusCode": self.containers[name].code, "Error": None}).encode()
                writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(answer), answer))
            case "POST", "containers" | "exec", name, "resize":
                process = self.containers.get(name) or self.execs[name]
                await process.resize(int(request.query["h"]), int(request.query["w"]))
                reply(writer, 200 if name in self.containers else 201)
            case "POST", "containers", name, "attach":
                await self.hijack(request, self.containers[name], request.flag("stdin"), reader, writer)
                return False
            case "DELETE", "containers", name:
                self.forget(name)
                reply(writer, 204)
            case "POST", "containers", name, "exec":
                wanted = request.json()
                made = Process(wanted["Cmd"][0], wanted.get("Tty", False), wanted.get("AttachStdin", False))
                self.execs[made.id] = made
                reply(writer, 201, {"Id": made.id})
            case "POST", "exec", name, "start":
                process = self.execs[name]
                self.start(process)
                await self.hijack(request, process, process.stdin, reader, writer)
                return False
            case "GET", "exec", name, "json":
                process = self.execs[name]
                reply(writer, 200, {"ID": name, "Running": not process.ended.is_set(), "ExitCode": process.code,
                                    "ProcessConfig": {"tty": process.tty, "entrypoint": process.program}})
            case _:
                missing(writer, request.path)
        await writer.drain()
        return request.headers.get("connection", "").lower() != "close"

    async def hijack(self, request: Request, process: Process, stdin: bool, reader, writer):
        """As dockerd does it: `postContainersAttach` and `postContainerExecStart` of moby."""
        kind = b"application/vnd.docker." + (b"raw-stream" if process.tty else b"multiplexed-stream")
        kind = kind if request.headers.get("accept-multiplexed") else b"application/vnd.docker.raw-stream"
        if "upgrade" in request.headers:
            token = request.headers["upgrade"].encode()
            head = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: %b\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n"
            writer.write(head % (kind, token))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n\r\n" % kind)
        self.hijacked += 1
        try:
            await process.attach(reader, writer, stdin)
            await writer.drain()
        finally:
            self.hijacked -= 1

    def create(self, name: str | None, wanted: dict) -> Process:
        words = wanted.get("Cmd") or [wanted.get("Image")]
        made = Process(words[0], wanted.get("Tty", False), wanted.get("OpenStdin", False))
        for key in {made.id, made.id[:12], name or made.id}:
            self.containers[key] = made
        return made

    def start(self, process: Process):
        task = asyncio.create_task(process.run())
        process.started.set()
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def forget(self, name: str):
        gone = self.containers.get(name)
        self.containers = {key: process for key, process in self.containers.items() if process is not gone}

    def running(self, name: str, program: str, tty: bool = False):
        """A container that runs already."""
        made = self.create(name, {"Cmd": [program], "Tty": tty, "OpenStdin": True})
        self.start(made)
        return made


IDS = itertools.count(0xD0C0000000000)


def described(name: str, process: Process) -> dict:
    running = process.started.is_set() and not process.ended.is_set()
    return {
        "Id": process.id, "Name": f"/{name}", "Created": "2026-01-01T00:00:00Z", "Path": process.program, "Args": [],
        "State": {
            "Status": "running" if running else "exited", "Running": running, "Paused": False, "Restarting": False,
            "ExitCode": process.code or 0, "Pid": 1,
        },
        "Config": {
            "Tty": process.tty, "OpenStdin": process.stdin, "StdinOnce": True, "AttachStdin": True,
            "Cmd": [process.program], "Image": "any",
        },
        "HostConfig": {"AutoRemove": False, "NetworkMode": "default"},
        "NetworkSettings": {"Networks": {}},
    }


async def read_request(reader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    url = urlsplit(target)
    path = url.path.removeprefix(f"/v{VERSION}")
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    return Request(method, path, query, headers, body)


def reply(writer, status: int, body: dict | bytes = b"", kind: str = "application/json"):
    if isinstance(body, dict):
        body = json.dumps(body).encode() + b"\n"
    head = [f"HTTP/1.1 {status} Whatever", f"Api-Version: {VERSION}", "Ostype: linux", "Docker-Experimental: false"]
    head += ["Server: Docker/20.10.24 (linux)"]
    head += [] if status == 204 else [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    writer.write("\r\n".join([*head, "", ""]).encode() + body)


def missing(writer, what: str):
    reply(writer, 404, {"message": f"No such container or page: {what}"})


async def main():
    async with Daemon(sys.argv[1]) as daemon:
        daemon.running("echo", "cat")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
