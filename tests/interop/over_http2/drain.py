"""Connections that end while requests are under way: rosn's own end, its reload, and the end of what is behind it."""

import asyncio
import json
import signal

from harness import eventually, same
from over_http2.directions import curl
from over_http2.servers import nginx, origin
from peers.h2link import client
from through.programs import output

MIB = 1 << 20


class Load:
    """A client that asks on and on, eight requests at a time, until it is told to go away. Each has to be answered."""

    def __init__(self):
        self.asked = self.answered = self.unprocessed = 0

    async def asks(self, port: int):
        async with client(port) as link:
            await asyncio.gather(*(self.one_by_one(link) for _ in range(8)))
            await eventually(lambda: link.closed, 20)

    async def one_by_one(self, link):
        while link.goaway is None and not link.closed:
            self.asked += 1
            stream = await link.open(end=True, method="GET", path="/slow/30")
            await stream.over()
            if stream.ended and stream.reset is None:
                same((stream.status, bytes(stream.data)), ("200", b"slow"))
                self.answered += 1
            elif link.goaway is not None and stream.number > link.goaway:
                self.unprocessed += 1
            else:
                text = f"stream {stream.number} has no answer: reset {stream.reset}, GOAWAY {link.goaway}"
                raise AssertionError(text)


async def end_of_rosn(setup):
    """SIGTERM: every request that was sent is answered; GOAWAY comes first, and in two steps, so none is left over."""
    async with origin(setup, "http1") as to:
        end = setup.end(to)
        async with setup.rosn(end) as rosn:
            load = Load()
            clients = [asyncio.create_task(load.asks(end.port)) for _ in range(4)]
            await eventually(lambda: load.answered >= 200, 20)
            rosn.terminate()
            await asyncio.gather(*clients)
            same(await asyncio.to_thread(rosn.process.wait, 15), 0, "how rosn ended")
        print(f"       {load.asked} asked, {load.answered} answered, {load.unprocessed} to be asked again")
        same((load.asked, load.unprocessed), (load.answered, 0), "requests")


async def end_of_rosn_during_a_body(setup):
    """A download that is under way comes to its end."""
    async with origin(setup, "http1") as to:
        end = setup.end(to)
        async with setup.rosn(end) as rosn:
            asks = ["--http2-prior-knowledge", "--limit-rate", "4M", f"http://127.0.0.1:{end.port}/bytes/{8 * MIB}"]
            download = asyncio.create_task(output(*curl(setup, *asks)))
            await under_way(rosn)
            rosn.terminate()
            same(len(await download), 8 * MIB, "the bytes that came")
            same(await asyncio.to_thread(rosn.process.wait, 15), 0, "how rosn ended")


async def under_way(rosn):
    async with asyncio.timeout(20):
        while not (await rosn.connections())["requests"]:
            await asyncio.sleep(0.01)


async def reloads(setup):
    """h2load's connections go on, whatever is loaded meanwhile; it counts a GOAWAY as failures."""
    async with nginx(setup) as to:
        end = setup.end(to)
        async with setup.rosn(end) as rosn:
            count = 30_000
            asks = ["h2load", "-c", "4", "-m", "10", "-n", count, f"http://127.0.0.1:{end.port}/"]
            load = asyncio.create_task(output(*asks))
            loaded = 0
            while not load.done():
                settings = json.loads(rosn.config.read_text())
                route = settings["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"][0]["route"]
                route["timeout"] = f"{20 + loaded}s"
                rosn.config.write_text(json.dumps(settings))
                rosn.process.send_signal(signal.SIGHUP)
                loaded += 1
                await asyncio.sleep(0.1)
            said = (await load).decode()
            print(f"       {loaded} reloads during {count} requests")
            if f"{count} succeeded, 0 failed, 0 errored, 0 timeout" not in said or f"{count} 2xx" not in said:
                raise AssertionError(said[said.find("finished in"):])


async def goaway_of_nginx(setup):
    """nginx sends GOAWAY after 50 requests of each connection: none of twenty thousand is lost."""
    async with nginx(setup, "http2", keepalive=50) as to:
        end = setup.end(to, upstream="Http2")
        async with setup.rosn(end):
            count = 20_000
            asks = ["h2load", "-c", "4", "-m", "25", "-n", count, f"http://127.0.0.1:{end.port}/"]
            said = (await output(*asks)).decode()
            if f"{count} succeeded, 0 failed, 0 errored, 0 timeout" not in said or f"{count} 2xx" not in said:
                raise AssertionError(said[said.find("finished in"):])


for case in (CASES := [end_of_rosn, end_of_rosn_during_a_body, reloads, goaway_of_nginx]):
    case.needs_rosn = True
