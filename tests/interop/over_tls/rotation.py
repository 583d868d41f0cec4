"""Certificates that are replaced while clients ask: each request of each connection, old or new, is answered."""

import asyncio
import os
import pathlib
import shutil
import sys
import time

from harness import same
from over_http2.servers import nginx
from over_tls.certificates import authority, leaf
from over_tls.servers import s_client, web
from through.programs import HERE, killed, output

# Asked for; a slower machine has fewer of them. A tenth is for the pauses between the runs of h2load.
REQUESTS_PER_SECOND = 5500
ROTATIONS = 4


class Files:
    """A pair of files that a context names, and what is put into them."""

    def __init__(self, folder, name: str):
        self.folder, self.name, self.number = folder, name, 0
        first = leaf(folder, f"{name}-0", "interop.test")
        self.certificate, self.key = (str(folder.path / f"{name}.{kind}") for kind in ("crt", "key"))
        self.put(first)

    def put(self, material):
        for source, target in ((material.key, self.key), (material.certificate, self.certificate)):
            shutil.copy(source, f"{target}.new")
            os.rename(f"{target}.new", target)

    def replace(self):
        self.number += 1
        self.put(leaf(self.folder, f"{self.name}-{self.number}", "interop.test"))

    async def serial(self) -> str:
        text = await output("openssl", "x509", "-in", self.certificate, "-noout", "-serial")
        return text.decode().strip()


async def shown(setup, port: int) -> str:
    """The serial number of what a new connection is shown."""
    _, text = await s_client(setup, port)
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    pem = begin + text.partition(begin)[2].partition(end)[0] + end
    return (await output("openssl", "x509", "-noout", "-serial", stdin=pem.encode())).decode().strip()


async def becomes(setup, port: int, serial: str):
    async with asyncio.timeout(30):
        while await shown(setup, port) != serial:
            await asyncio.sleep(0.1)


async def under_load(setup):
    """Five thousand requests per second and more on forty connections of h2load, and new connections by another client."""
    files = Files(setup.folder, "rotated")
    context = {"status": True, "cert_chain": files.certificate, "private_key": files.key}
    async with nginx(setup) as to, setup.rosn(end := setup.end(to, context)) as rosn:
        stop = setup.folder.path / "stop"
        anew = asyncio.create_task(new_connections(setup, end.port, stop))
        load = asyncio.create_task(load_until(end.port, stop))
        await asyncio.sleep(0)
        began, processor = time.monotonic(), rosn.processor()
        for _ in range(ROTATIONS):
            files.replace()
            await becomes(setup, end.port, await files.serial())
        stop.write_text("")
        connections, requests = await anew, await load
        seconds, processor = time.monotonic() - began, rosn.processor() - processor
        print(f"       {ROTATIONS} rotations during {requests:,} requests in {seconds:.1f} s, which is "
              f"{requests / seconds:,.0f} per second, and {connections:,} new connections; {processor:.1f} s of processor")
        same("panicked" in rosn.text(), False)


async def load_until(port: int, stop: pathlib.Path) -> int:
    """Runs of h2load, one after the other; each request succeeds."""
    requests = 0
    while not stop.exists():
        count = 2 * REQUESTS_PER_SECOND
        said = (await output("h2load", "-c", "40", "-m", "10", "-n", count, "--rps", REQUESTS_PER_SECOND / 40,
                             f"https://127.0.0.1:{port}/")).decode()
        if f"{count} succeeded, 0 failed, 0 errored, 0 timeout" not in said or f"{count} 2xx" not in said:
            raise AssertionError(said[said.find("finished in"):])
        requests += count
    return requests


async def new_connections(setup, port: int, stop: pathlib.Path) -> int:
    """A program of its own, which asks once on each connection. How many there were; each was answered."""
    command = [sys.executable, HERE / "over_tls/anew.py", port, setup.folder.ca, stop]
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=asyncio.subprocess.PIPE)
    async with killed(process):
        out, _ = await process.communicate()
        same(process.returncode, 0, "how the client of new connections ended")
        return int(out)


async def broken_files_change_nothing(setup):
    """What cannot be loaded is told, and the old stays; so does what is expired or of another key."""
    files = Files(setup.folder, "broken")
    context = {"status": True, "cert_chain": files.certificate, "private_key": files.key}
    async with web() as to, setup.rosn(end := setup.end(to, context)) as rosn:
        serial = await files.serial()
        other = leaf(setup.folder, "broken-other", "interop.test")
        shutil.copy(other.certificate, f"{files.certificate}.new")
        os.rename(f"{files.certificate}.new", files.certificate)
        await rosn.says(files.certificate, limit=20)
        same(await shown(setup, end.port), serial)
        pathlib.Path(files.certificate).write_text("nothing")
        await asyncio.sleep(1.5)  # it is looked at once a second
        same(await shown(setup, end.port), serial)
        files.replace()
        await becomes(setup, end.port, await files.serial())


async def trusted_authorities(setup):
    """Who may come in changes with the file of authorities; who is in stays."""
    folder = setup.folder
    trusted = folder.path / "trusted.crt"
    shutil.copy(folder.ca, trusted)
    stranger = authority(folder, "later")
    client = leaf(folder, "later-client", "client.test", usage="clientAuth", ca="later")
    context = folder.tls_context(ca_cert=str(trusted), verify_client=True, require_client_cert=True)
    async with web() as to, setup.rosn(end := setup.end(to, context)):
        shows = ("-cert", client.certificate, "-key", client.key)
        good, text = await s_client(setup, end.port, *shows)
        same(good, False, f"that a stranger is let in: {text[-300:]}")
        shutil.copy(stranger, f"{trusted}.new")
        os.rename(f"{trusted}.new", trusted)
        async with asyncio.timeout(30):
            while not (await s_client(setup, end.port, *shows))[0]:
                await asyncio.sleep(0.1)


CASES = [under_load, broken_files_change_nothing, trusted_authorities]
