"""What the suites of Python have in common: certificates, a process of rosn, and servers behind it."""

import asyncio
import contextlib
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import traceback



def free_ports():
    """Ports that nobody has, below those that the system hands out itself; others for suites that run side by side."""
    for port in itertools.count(28000 + os.getpid() % 40 * 100):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        yield port


PORTS = free_ports()


def next_port() -> int:
    return next(PORTS)


class Folder:
    """A folder of its own, with an authority and a certificate for interop.test and 127.0.0.1."""

    def __init__(self, name: str):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"rosn-{name}-"))
        self.ca, self.certificate, self.key = (str(self.path / name) for name in ("ca.crt", "leaf.crt", "leaf.key"))

    def issue(self):
        extensions = "subjectAltName=DNS:interop.test,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
        (self.path / "leaf.ext").write_text(extensions + "extendedKeyUsage=serverAuth\n")
        for name in ("ca", "leaf"):
            self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
        self.openssl("req", "-x509", "-new", "-key", "ca.key", "-days", "30", "-subj", "/CN=interop CA",
                     "-out", "ca.crt", "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
        self.openssl("req", "-new", "-key", "leaf.key", "-subj", "/CN=interop.test", "-out", "leaf.csr")
        self.openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", "30", "-extfile", "leaf.ext", "-out", "leaf.crt")
        return self

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.path, check=True, capture_output=True)

    def remove(self):
        subprocess.run(["rm", "-r", str(self.path)], check=True)

    def shows(self, settings: dict, **more) -> dict:
        """Settings of a listener with TLS."""
        certificates = [{"certificateFile": self.certificate, "keyFile": self.key}]
        return {**settings, "security": "tls", "tlsSettings": {"certificates": certificates, **more}}

    def trusts(self, settings: dict, **more) -> dict:
        """Settings of a dialer with TLS."""
        own = {
            "serverName": "interop.test", "disableSystemRoot": True,
            "certificates": [{"usage": "verify", "certificateFile": self.ca}],
        }
        return {**settings, "security": "tls", "tlsSettings": {**own, **more}}

    def tls_context(self, **more) -> dict:
        """MOSN's settings of a filter chain with TLS."""
        return {"status": True, "cert_chain": self.certificate, "private_key": self.key, **more}

    def tls_to(self, **more) -> dict:
        """MOSN's settings of a cluster with TLS."""
        return {"status": True, "ca_cert": self.ca, "server_name": "interop.test", **more}

    def client_context(self, *alpn: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        context.set_alpn_protocols(alpn)
        return context

    def server_context(self, *alpn: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        context.set_alpn_protocols(alpn)
        return context


@dataclasses.dataclass
class End:
    """What rosn listens on, and what it forwards to."""

    to: int | str  # a port, or `unix:/path`
    listens: dict = dataclasses.field(default_factory=dict)
    dials: dict = dataclasses.field(default_factory=dict)
    port: int = dataclasses.field(default_factory=next_port)
    at: str = ""  # where it listens, if not on the port
    http: dict | None = None  # the action of the only route; None where bytes are forwarded as they come
    cluster: dict = dataclasses.field(default_factory=dict)  # more about it, which wins
    protocol: str = "Http1"  # what it speaks to clients, where there is a route
    proxy: dict = dataclasses.field(default_factory=dict)  # more about the filter that proxies, which wins
    chain: dict = dataclasses.field(default_factory=dict)  # more about the filter chain
    listener: dict = dataclasses.field(default_factory=dict)  # more about the listener


class Rosn:
    """A process for as long as the block runs. It has to end well at the end of it, and without delay."""

    def __init__(self, program: str, folder: pathlib.Path, ends: list[End], **more):
        """`more` is of the top level of the configuration."""
        name = f"rosn-{ends[0].port}"
        self.log = folder / f"{name}.log"
        self.folder = folder / name
        self.folder.mkdir()
        self.config = folder / f"{name}.json"
        self.config.write_text(json.dumps({**configuration(ends, self.folder), **more}, indent=1))
        self.command = [program, "start", "-c", str(self.config)]

    async def __aenter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)
        try:
            await self.says("rosn has started", limit=30)
        except BaseException:
            self.process.kill()
            raise
        return self

    async def __aexit__(self, kind, *_):
        self.terminate()
        try:
            status = await asyncio.to_thread(self.process.wait, 15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "a kill, as it did not within 15 s"
        panicked = "panicked" in self.text()
        if kind is None and (status or panicked):
            raise AssertionError(f"rosn ended with {status}{' and has panicked' if panicked else ''}: see {self.log}")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    async def says(self, *words: str, limit=10):
        """Waits for a line of the log with all these words."""

        def found():
            return any(all(word in line for word in words) for line in self.text().splitlines())

        with contextlib.suppress(TimeoutError):
            await eventually(lambda: found() or self.process.poll() is not None, limit)
        if not found():
            raise AssertionError(f"no line of {self.log} has all of {words}; the last ones are\n{self.text()[-1500:]}")

    def processor(self) -> float:
        """Seconds of the processors' time that it has had."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Bytes that are resident."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS"))

    def descriptors(self) -> list[str]:
        """What it has open."""
        folder = pathlib.Path(f"/proc/{self.process.pid}/fd")
        links = []
        for entry in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                links.append(os.readlink(entry))
        return links

    async def settles(self, before: int):
        """Waits until it serves nobody, and has no descriptor more than before but for pooled connections."""
        now = {}

        async def settled():
            now.update(await self.connections())
            now["descriptors"] = len(self.descriptors())
            return not now["downstream"] and not now["requests"] and now["descriptors"] <= before + now["upstream"]

        try:
            async with asyncio.timeout(20):
                while not await settled():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            text = f"rosn has not settled: {now}, {before} descriptors before: {self.descriptors()}"
            raise AssertionError(text) from None

    async def connections(self) -> dict:
        """How many connections and requests it has."""
        return json.loads(await self.admin("/api/v1/connections"))["total"]

    async def metrics(self) -> dict[str, float]:
        """Each series, with its labels."""
        lines = (line.rpartition(" ") for line in (await self.admin("/metrics")).splitlines() if line[:1] != "#")
        return {series: float(value) for series, _, value in lines}

    async def counted(self, name: str) -> float:
        """The sum of all metrics whose names end so."""
        series = await self.metrics()
        found = [value for one, value in series.items() if one.partition("{")[0].endswith(name)]
        if not found:
            raise AssertionError(f"there is no metric {name}")
        return sum(found)

    async def admin(self, path: str) -> str:
        """What the admin API answers."""
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "rosn.sock"))
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: rosn\r\nConnection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        if not head.startswith(b"HTTP/1.1 200 "):
            raise AssertionError(f"{path}: {head!r}")
        return body.decode()


def configuration(ends: list[End], folder: pathlib.Path) -> dict:
    listeners, routers, clusters = [], [], []
    for number, end in enumerate(ends):
        name = f"end {number}"
        if end.http is None:
            proxy = {"type": "tcp_proxy", "config": {"cluster": name, **end.proxy}}
        else:
            settings = {"downstream_protocol": end.protocol, "router_config_name": name, **end.proxy}
            proxy = {"type": "proxy", "config": settings}
            route = {"match": {"prefix": "/"}, "route": {"cluster_name": name, **end.http}}
            hosts = {"name": name, "domains": ["*"], "routers": [route]}
            routers.append({"router_config_name": name, "virtual_hosts": [hosts]})
        listeners.append({
            "name": name, "address": end.at or f"127.0.0.1:{end.port}", "bind_port": True,
            "stream_settings": end.listens, "filter_chains": [{"filters": [proxy], **end.chain}], **end.listener,
        })
        host = {"address": end.to if isinstance(end.to, str) else f"127.0.0.1:{end.to}"}
        clusters.append({"name": name, "stream_settings": end.dials, "hosts": [host], **end.cluster})
    server = {
        "default_log_path": "stdout", "default_log_level": "DEBUG", "graceful_timeout": "10s", "listeners": listeners,
        "routers": routers,
    }
    own = {"pid": str(folder / "rosn.pid"), "uds_dir": str(folder)}
    return {"servers": [server], "cluster_manager": {"clusters": clusters}, **own}


class Origin:
    """A server of TCP, for as long as the block runs: it echoes, until its behaviour is set to something else."""

    def __init__(self, behaviour=None):
        self.behaviour = behaviour or echo
        self.accepted = 0
        self.ended = 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def serve(self, reader, writer):
        self.accepted += 1
        try:
            await self.behaviour(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()
            self.ended += 1


async def echo(reader, writer):
    """Sends back what comes, until there is no more."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def reset(reader, writer):
    """Ends the connection abruptly once something has come."""
    await reader.read(1)
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


@contextlib.asynccontextmanager
async def tunnel(port: int):
    """A connection of TCP to rosn, which goes on over the transport."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def echoes(reader, writer, data: bytes):
    """Sends, and wants it back."""

    async def send():
        for at in range(0, len(data), 16384):
            writer.write(data[at : at + 16384])
            await writer.drain()

    sending = asyncio.create_task(send())
    same(await reader.readexactly(len(data)), data)
    await sending


async def eventually(condition, limit: float = 10):
    """Waits until something holds. Raises `TimeoutError`."""
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.01)


def same(got, expected, what: str = "it"):
    if got != expected:
        raise AssertionError(f"{what} is {shortened(got)}, not {shortened(expected)}")


def shortened(thing) -> str:
    text = repr(thing)
    return text if len(text) < 300 else f"{text[:300]}... ({len(text)})"


async def run(cases, chosen: list[str], limit: float = 60) -> tuple[int, int]:
    """Runs those whose names begin as asked, one after the other; returns how many passed and failed.

    A case is a name and a coroutine function without arguments.
    """
    passed = failed = 0
    for name, case in cases:
        if not name.startswith(tuple(chosen) or ("",)):
            continue
        try:
            await asyncio.wait_for(case(), limit)
        except Exception as error:  # whatever it is, the others are run
            failed += 1
            place = traceback.extract_tb(error.__traceback__)
            where = next((frame for frame in reversed(place) if "interop" in frame.filename), place[-1])
            print(f"FAILED {name}\n         {where.filename}:{where.lineno} {type(error).__name__} {error}", flush=True)
        else:
            passed += 1
            print(f"ok     {name}", flush=True)
    return passed, failed


def cases_of(suites, setup):
    """The cases of suites by name, each a coroutine function that takes the setup, for run()."""
    return [
        (f"{suite} {case.__name__.replace('_', ' ')}", functools.partial(case, setup))
        for suite, members in suites.items()
        for case in members
    ]


def conclude(folder: "Folder", passed: int, failed: int):
    """Says how many passed, keeps the logs of failures, and ends the program. That nothing ran is a failure, too."""
    if failed:
        print(f"logs in {folder.path}")
    else:
        folder.remove()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)
