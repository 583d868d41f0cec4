"""testssl.sh and sslyze find nothing to object to, with a certificate of `rosn cert` and settings as they come, and
testssl.sh gives the best grade."""

import contextlib
import json

from harness import same
from over_tls.servers import web
from through.programs import ended, output

# What testssl.sh says of any server like this one, and why it is no fault of rosn.
NOT_ROSN = {
    "engine_problem": "about the openssl that scans",
    "cert_revocation": "a certificate for trying out names no place to ask",
    "DNS_CAArecord": "there is no DNS for the name",
    "security_headers": "headers of the application",
    # It hangs up after the handshake, at times before the tickets of TLS 1.3 have come, and then has no session to try;
    # with openssl s_server as well. `handshakes resumption` looks at resumption.
    "sessionresumption_ticket": "the scanner does not wait for tickets",
    "sessionresumption_ID": "the scanner does not wait for tickets",
}
# What a grade is made of. Its simulations of clients take as long as all others.
SCANS = ["--protocols", "--std", "--fs", "--server-preference", "--server-defaults", "--headers", "--vulnerable"]
# The application's part: without it there is no better grade than A.
HSTS = b"Strict-Transport-Security: max-age=31536000"
VERSIONS = {"SSLv2": False, "SSLv3": False, "TLS1": False, "TLS1_1": False, "TLS1_2": True, "TLS1_3": True}


@contextlib.asynccontextmanager
async def scanned(setup, name: str):
    """rosn with a certificate of its own authority; the authority, and the port."""
    folder = setup.folder.path / name
    await output(setup.program, "cert", "localhost", "127.0.0.1", "--dir", folder)
    context = {"status": True, "cert_chain": str(folder / "localhost.pem"), "private_key": str(folder / "localhost.key")}
    async with web(HSTS) as to, setup.rosn(end := setup.end(to, context)):
        yield folder / "ca.pem", end.port


async def testssl(setup):
    report = setup.folder.path / "testssl.json"
    async with scanned(setup, "testssl") as (ca, port):
        command = ["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--add-ca", ca, "--ip", "127.0.0.1",
                   "--jsonfile", report, *SCANS, f"localhost:{port}"]
        # A client that asks to negotiate anew is not answered, and for each time that it wants to ask it waits three seconds.
        _, out, error = await ended(*command, SSL_RENEG_ATTEMPTS="4")
    if not report.exists():
        raise AssertionError(f"testssl.sh says {(out + error).decode()[-1500:]}")
    found = json.loads(report.read_text())
    bad = [f"{one['severity']} {one['id']}: {one['finding']}" for one in found
           if one["severity"] not in ("OK", "INFO") and one["id"] not in NOT_ROSN]
    told = {one["id"]: one["finding"] for one in found}
    score = ", ".join(told.get(f"{part}_score", "none") for part in ("protocol_support", "key_exchange", "cipher_strength"))
    print(f"       testssl.sh: {told.get('overall_grade')} ({score}); {len(found)} findings, {len(bad)} of them against rosn; "
          f"{told.get('FS_ciphers')}")
    if bad or len(found) < 50:
        raise AssertionError(f"{len(found)} findings, of which are no good: {bad}")
    same(told.get("overall_grade"), "A+", "the grade")
    offered = {version: told.get(version, "").startswith("offered") for version in VERSIONS}
    if offered != VERSIONS:
        raise AssertionError(f"versions: {offered}")


async def sslyze(setup):
    """By Mozilla's intermediate configuration, and its other checks."""
    async with scanned(setup, "sslyze") as (ca, port):
        command = [setup.binary("sslyze"), "--certinfo", "--certinfo_ca_file", ca, "--mozilla_config", "intermediate",
                   f"localhost:{port}"]
        status, out, error = await ended(*command)
    text = out.decode()
    if status or "OK - Compliant" not in text or "VULNERABLE -" in text:
        raise AssertionError(f"sslyze ends with {status}: {text[-3000:]}{error.decode()[-500:]}")


CASES = [testssl, sslyze]
