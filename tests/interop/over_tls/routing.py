"""One port for plain text and TLS, and TLS that is passed on by the name in its ClientHello."""

import asyncio
import contextlib
import ssl

from harness import End, same
from over_http2.servers import nginx
from over_tls.certificates import leaf
from over_tls.servers import REQUEST, accepted, refused, s_client, subject, web
from through.programs import output


async def inspector(setup):
    """HTTP/1.1 and HTTP/2, with TLS and without, all on one port."""
    async with web() as to, setup.rosn(end := setup.end(to, listener={"inspector": True})):
        shown = ["--output", "/dev/null", "--write-out", "%{http_version} %{http_code}", "--cacert", setup.folder.ca]
        for scheme, option, version in (("http", "--http1.1", "1.1"), ("http", "--http2-prior-knowledge", "2"),
                                        ("https", "--http1.1", "1.1"), ("https", "--http2", "2")):
            said = await output("curl", "--silent", option, *shown, f"{scheme}://127.0.0.1:{end.port}/")
            same(said.decode(), f"{version} 200", f"{scheme} {option}")


async def plain_text_where_TLS_is_spoken(setup):
    """Without the inspector it gets no answer of HTTP's."""
    async with web() as to, setup.rosn(end := setup.end(to)):
        reader, writer = await asyncio.open_connection("127.0.0.1", end.port)
        writer.write(REQUEST)
        with contextlib.suppress(ConnectionResetError):
            answer = await asyncio.wait_for(reader.read(), 20)
            same(b"HTTP" in answer, False, f"that {answer!r} is HTTP")
        writer.close()


async def passthrough(setup):
    """rosn has no key: the servers behind it show their own certificates."""
    folders = {name: leaf(setup.folder, f"behind-{name[:1]}", name) for name in ("a.test", "*.b.test")}
    async with contextlib.AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(nginx(setup, "ssl", material=one)) for one in folders.values()]
        other = await stack.enter_async_context(nginx(setup, "ssl"))
        routes = [{"server_names": [name], "cluster": f"end {number}"} for number, name in enumerate(folders)]
        proxy = {"cluster": "", "routes": [*routes, {"cluster": "end 2"}]}
        # The other two are there for their clusters.
        ends = [End(ports[0], proxy=proxy), End(ports[1]), End(other)]
        await stack.enter_async_context(setup.rosn(*ends))
        port = ends[0].port
        for name, shown in (("a.test", "a.test"), ("x.b.test", "*.b.test"), ("A.TEST", "a.test")):
            same(subject(await accepted(setup, port, name=name)), shown, f"what is shown for {name}")
        for name in ("b.test", "else.test", None):
            _, text = await s_client(setup, port, name=name)
            same(subject(text), "interop.test", f"what is shown for {name}")
        await byte_by_byte(setup, port)


async def byte_by_byte(setup, port: int):
    """A ClientHello that comes slowly is one all the same."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = setup.folder.client_context().wrap_bio(incoming, outgoing, server_hostname="a.test")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    pieces = True
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            data = outgoing.read()
            for at in range(len(data)) if pieces else ():
                writer.write(data[at : at + 1])
                await writer.drain()
                await asyncio.sleep(0)
            if not pieces:
                writer.write(data)
            pieces = False
            incoming.write(await asyncio.wait_for(reader.read(65536), 20))
    same(client.getpeercert()["subject"], ((("commonName", "a.test"),),))
    writer.close()


async def passthrough_without_a_route(setup):
    """Who asks for something else is not connected to anybody."""
    async with nginx(setup, "ssl") as to:
        proxy = {"cluster": "", "routes": [{"server_names": ["interop.test"], "cluster": "end 0"}]}
        async with setup.rosn(end := End(to, proxy=proxy)):
            same(subject(await accepted(setup, end.port)), "interop.test")
            for name in ("else.test", None):
                text = await refused(setup, end.port, name=name)
                same(subject(text), "", f"what is shown for {name}")


CASES = [inspector, plain_text_where_TLS_is_spoken, passthrough, passthrough_without_a_route]
