"""openssl s_client: versions, ciphers, choice of certificates, client certificates, resumption, OCSP, key exchange."""

import asyncio
import json

from harness import same
from over_tls.certificates import authority, leaf, ocsp
from over_tls.hello import hello, selected_group
from over_tls.servers import accepted, has, refused, s_client, subject, web
from through.programs import killed, output

SAFE_12 = [
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305",
]
UNSAFE_12 = ["ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384", "AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256"]
SUITES_13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]


def both(setup):
    """An RSA and an ECDSA certificate of one name, side by side."""
    return [leaf(setup.folder, f"both-{kind}", "interop.test", rsa=kind == "rsa").context() for kind in ("ecdsa", "rsa")]


async def versions(setup):
    async with web() as to, setup.rosn(end := setup.end(to)):
        has(await accepted(setup, end.port, "-tls1_2"), "TLSv1.2", "Verify return code: 0")
        has(await accepted(setup, end.port, "-tls1_3"), "TLSv1.3", "Verify return code: 0")
        for old in ("-tls1", "-tls1_1"):
            await refused(setup, end.port, old, "-cipher", "ALL:@SECLEVEL=0")


async def versions_that_are_set(setup):
    only = {"-tls1_2": "TLSv1_2", "-tls1_3": "TLSv1_3"}
    for flag, name in only.items():
        context = setup.folder.tls_context(min_version=name, max_version=name)
        async with web() as to, setup.rosn(end := setup.end(to, context)):
            for one in only:
                await (accepted if one == flag else refused)(setup, end.port, one)


async def ciphers(setup):
    """What is safe, with the certificate that fits; and nothing else."""
    async with web() as to, setup.rosn(end := setup.end(to, *both(setup))):
        for cipher in SAFE_12:
            text = await accepted(setup, end.port, "-tls1_2", "-cipher", cipher)
            has(text, f"Cipher is {cipher}")
        for cipher in UNSAFE_12:
            await refused(setup, end.port, "-tls1_2", "-cipher", cipher)
        for suite in SUITES_13:
            has(await accepted(setup, end.port, "-tls1_3", "-ciphersuites", suite), f"Cipher is {suite}")


async def ciphers_that_are_set(setup):
    context = setup.folder.tls_context(cipher_suites="ECDHE-ECDSA-CHACHA20-POLY1305", max_version="TLSv1_2")
    async with web() as to, setup.rosn(end := setup.end(to, context)):
        await accepted(setup, end.port, "-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305")
        await refused(setup, end.port, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")


async def RSA_and_ECDSA(setup):
    """By what the client can verify."""
    async with web() as to, setup.rosn(end := setup.end(to, *both(setup))):
        for kind, algorithms in (("ECDSA", "ECDSA+SHA256"), ("RSA-PSS", "RSA-PSS+SHA256")):
            has(await accepted(setup, end.port, "-sigalgs", algorithms), f"Peer signature type: {kind}")


async def names(setup):
    """Exact before a wildcard, and the first where no name fits or none is asked for."""
    contexts = [leaf(setup.folder, f"sni-{number}", name).context()
                for number, name in enumerate(["first.test", "*.b.test", "exact.b.test"])]
    async with web() as to, setup.rosn(end := setup.end(to, *contexts)):
        for name, shown in (("first.test", "first.test"), ("any.b.test", "*.b.test"), ("exact.b.test", "exact.b.test"),
                            ("EXACT.b.test", "exact.b.test")):
            same(subject(await accepted(setup, end.port, name=name)), shown, f"what is shown for {name}")
        for name in ("deep.any.b.test", "other.test", None):
            _, text = await s_client(setup, end.port, name=name)
            same(subject(text), "first.test", f"what is shown for {name}")


async def client_certificates(setup):
    """Required, asked for, or taken as they are."""
    folder = setup.folder
    authority(folder, "stranger")
    known = leaf(folder, "client", "client.test", usage="clientAuth")
    strange = leaf(folder, "strange", "strange.test", usage="clientAuth", ca="stranger")
    shows = {who: ("-cert", one.certificate, "-key", one.key) for who, one in (("known", known), ("strange", strange))}
    shows["nobody"] = ()
    lets_in = {
        (True, True): {"known"},
        (True, False): {"known", "nobody"},
        (False, True): {"known", "nobody", "strange"},
        (False, False): {"known", "nobody", "strange"},
    }
    for (verify, require), welcome in lets_in.items():
        context = folder.tls_context(ca_cert=folder.ca, verify_client=verify, require_client_cert=require)
        async with web() as to, setup.rosn(end := setup.end(to, context)):
            for version in ("-tls1_2", "-tls1_3"):
                for who, options in shows.items():
                    await (accepted if who in welcome else refused)(setup, end.port, version, *options)


async def forwarded_client_certificate(setup):
    """`x-forwarded-client-cert` is what rosn knows, and never what a client claims."""
    folder = setup.folder
    client = leaf(folder, "forwarded", "client.test", usage="clientAuth")
    context = folder.tls_context(ca_cert=folder.ca, verify_client=True, require_client_cert=True)
    claims = b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Client-Cert: Subject=\"CN=root\"\r\nConnection: close\r\n\r\n"
    set_it = {"forward_client_cert": "sanitize_set", "forward_client_cert_details": ["subject", "dns"]}
    for proxy, wanted in (({}, False), (set_it, True)):
        async with web() as to, setup.rosn(end := setup.end(to, context, proxy=proxy)):
            text = await accepted(setup, end.port, "-cert", client.certificate, "-key", client.key, stdin=claims)
            head = text.partition("HTTP/1.1 200")[2].lower()
            same(("cn=root" in head, "cn=client.test" in head, "dns=client.test" in head), (False, wanted, wanted))


async def renegotiation(setup):
    """Who asks for another handshake is told at once that there is none, and does not wait in vain."""
    pipe = asyncio.subprocess.PIPE
    async with web() as to, setup.rosn(end := setup.end(to)):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{end.port}", "-tls1_2", "-servername", "interop.test"]
        for request in (b"", b"GET / HTTP/1.1\r\nHost: interop.test\r\n\r\n"):
            process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
            )
            async with killed(process), asyncio.timeout(30):
                process.stdin.write(request)
                if request:  # what comes after it is a command at the beginning of a line only
                    await process.stdout.readuntil(b"HTTP/1.1 200")
                process.stdin.write(b"R\n")
                # The input stays open, since its end would be the client's.
                has((await process.stdout.read()).decode(errors="replace"), "RENEGOTIATING", "no renegotiation")


async def resumption(setup):
    """A session is gone on with at every worker, and after reloads."""
    async with web() as to, setup.rosn(end := setup.end(to)) as rosn:
        for version in ("-tls1_2", "-tls1_3"):
            session = setup.folder.path / f"session{version}"
            has(await accepted(setup, end.port, version, "-sess_out", session), "New, TLSv1")
            for _ in range(8):
                has(await accepted(setup, end.port, version, "-sess_in", session), "Reused, TLSv1")
            settings = json.loads(rosn.config.read_text())
            settings["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"][0]["route"]["timeout"] = "33s"
            settings["servers"][0]["listeners"][0]["max_connections"] = 5000 + len(version)
            rosn.config.write_text(json.dumps(settings))
            await output(setup.program, "reload", "-c", rosn.config)
            for _ in range(4):
                has(await accepted(setup, end.port, version, "-sess_in", session), "Reused, TLSv1")


async def resumption_is_no_way_round_client_certificates(setup):
    """A session of a listener that asks nobody is worth nothing at one that does."""
    folder = setup.folder
    strict = folder.tls_context(ca_cert=folder.ca, verify_client=True, require_client_cert=True)
    async with web() as to:
        easy, hard = setup.end(to), setup.end(to, strict)
        async with setup.rosn(easy, hard):
            for version in ("-tls1_2", "-tls1_3"):
                session = folder.path / f"easy{version}"
                await accepted(setup, easy.port, version, "-sess_out", session)
                await refused(setup, hard.port, version, "-sess_in", session)


async def OCSP(setup):
    """The response of the file is shown with the certificate."""
    staple = ocsp(setup.folder, setup.folder.certificate)
    async with web() as to, setup.rosn(end := setup.end(to, setup.folder.tls_context(ocsp_response=staple))):
        for version in ("-tls1_2", "-tls1_3"):
            has(await accepted(setup, end.port, version, "-status"), "OCSP Response Status: successful", "Cert Status: good")


async def ALPN(setup):
    async with web() as to:
        auto, one, two = setup.end(to), setup.end(to, protocol="Http1"), setup.end(to, protocol="Http2")
        async with setup.rosn(auto, one, two):
            for end, offered, chosen in ((auto, "h2,http/1.1", "h2"), (auto, "http/1.1,h2", "h2"),
                                         (auto, "http/1.1", "http/1.1"), (one, "h2,http/1.1", "http/1.1"),
                                         (two, "http/1.1,h2", "h2")):
                # A request of HTTP/1.1 has no answer where HTTP/2 was agreed on.
                _, text = await s_client(setup, end.port, "-alpn", offered)
                has(text, f"ALPN protocol: {chosen}")


async def key_exchange(setup):
    """Post-quantum is there, and who does not know it is served as well. Asked by hand: a ClientHello without keys is
    answered with the group that the server takes, which is the first of the client's that it has."""
    async with web() as to, setup.rosn(end := setup.end(to)):
        hybrid, x25519, x448, p256, p384 = 0x11EC, 0x1D, 0x1E, 0x17, 0x18
        for offered, chosen in (([hybrid, x25519], hybrid), ([hybrid], hybrid), ([x448, x25519, p256], x25519),
                                ([p256], p256), ([p384], p384)):
            answer = await asyncio.to_thread(hello, end.port, offered)
            same(selected_group(answer), chosen, f"of the groups {offered}")
        for group in ("X25519", "P-256", "P-384"):
            has(await accepted(setup, end.port, "-groups", group), "Verify return code: 0")
        await refused(setup, end.port, "-groups", "X448")


CASES = [
    versions, versions_that_are_set, ciphers, ciphers_that_are_set, RSA_and_ECDSA, names, client_certificates,
    forwarded_client_certificate, renegotiation, resumption, resumption_is_no_way_round_client_certificates, OCSP, ALPN,
    key_exchange,
]
