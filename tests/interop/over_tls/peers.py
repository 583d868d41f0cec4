"""Clients with handshakes of browsers, and servers of TLS behind rosn."""

from curl_cffi import CurlOpt
from curl_cffi.requests import AsyncSession

from harness import next_port, same
from over_http2.servers import listening, nginx
from over_tls.certificates import leaf
from over_tls.servers import web
from through.programs import output


async def handshakes_of_browsers(setup):
    """Chrome's has post-quantum keys in it, GREASE, and is larger than a packet."""
    async with web() as to, setup.rosn(end := setup.end(to)):
        resolve = {CurlOpt.RESOLVE: [f"interop.test:{end.port}:127.0.0.1"]}
        for browser in ("chrome131", "chrome116", "firefox135", "safari184", "safari155", "tor145"):
            async with AsyncSession(impersonate=browser, verify=setup.folder.ca, curl_options=resolve) as session:
                for _ in range(3):
                    answer = await session.get(f"https://interop.test:{end.port}/")
                    same((answer.status_code, int(answer.http_version)), (200, 3), browser)


async def curl(setup, port, *options) -> str:
    shown = ["--output", "/dev/null", "--write-out", "%{http_code}"]
    return (await output("curl", "--silent", "--max-time", "30", *shown, *options, f"http://127.0.0.1:{port}/")).decode()


async def servers_behind_rosn(setup):
    """nginx with TLS, by HTTP/1 and by HTTP/2; its certificate has to be good for the name."""
    folder = setup.folder
    for listen, upstream in ((["ssl"], "Http1"), (["ssl", "http2"], "Http2")):
        async with nginx(setup, *listen) as to:
            wrong = folder.tls_to(server_name="other.test")
            settings = {
                "200": [folder.tls_to(), folder.tls_to(server_name="127.0.0.1"), {**wrong, "insecure_skip": True}],
                "502": [wrong, {"status": True, "server_name": "interop.test"}],
            }
            wanted = [(status, one) for status, some in settings.items() for one in some]
            route = {"upstream_protocol": upstream}
            ends = [setup.plain(to, http=route, cluster={"tls_context": one}) for _, one in wanted]
            async with setup.rosn(*ends):
                for end, (status, one) in zip(ends, wanted, strict=True):
                    same(await curl(setup, end.port), status, f"{upstream}: the answer with {one}")


async def servers_that_want_certificates(setup):
    """rosn shows its own, where it has one."""
    folder = setup.folder
    client = leaf(folder, "upstream-client", "client.test", usage="clientAuth")
    own = {"cert_chain": client.certificate, "private_key": client.key}
    port = next_port()
    server = ["openssl", "s_server", "-quiet", "-www", "-accept", f"127.0.0.1:{port}", "-cert", folder.certificate]
    server += ["-key", folder.key, "-CAfile", folder.ca, "-Verify", "1", "-verify_return_error"]
    async with listening(port, *server):
        with_one, without = (setup.plain(port, cluster={"tls_context": folder.tls_to(**more)}) for more in (own, {}))
        async with setup.rosn(with_one, without):
            same(await curl(setup, with_one.port), "200")
            same(await curl(setup, without.port), "502")


async def hosts_without_TLS(setup):
    """`tls_disable` is for one host of a cluster."""
    async with web() as to:
        cluster = {"tls_context": setup.folder.tls_to(), "hosts": [{"address": f"127.0.0.1:{to}", "tls_disable": True}]}
        async with setup.rosn(end := setup.plain(to, cluster=cluster)):
            same(await curl(setup, end.port), "200")


CASES = [handshakes_of_browsers, servers_behind_rosn, servers_that_want_certificates, hosts_without_TLS]
