"""testssl.sh and sslyze find nothing, with a certificate and settings as they come."""

import json

from over_tls.certificates import leaf
from over_tls.servers import web
from through.programs import ended

# What testssl.sh says of any server like this one, and why it is no fault of rosn.
NOT_ROSN = {
    "engine_problem": "about the openssl that scans",
    "cert_revocation": "a certificate for trying out names no place to ask",
    "DNS_CAArecord": "there is no DNS for the name",
    "HSTS": "a header of the application",
    "security_headers": "headers of the application",
    "cipher_order": "all that are offered are safe, so the client's order is kept (as Mozilla wants it)",
}
# What the grade is made of: testssl.sh 3.0 does not say it itself. The client simulations take as long as all others.
SCANS = ["--protocols", "--std", "--fs", "--server-preference", "--server-defaults", "--vulnerable"]


async def testssl(setup):
    material = leaf(setup.folder, "scanned", "localhost", "interop.test")
    report = setup.folder.path / "testssl.json"
    async with web() as to, setup.rosn(end := setup.end(to, material.context())):
        command = ["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--add-ca", setup.folder.ca, "--ip",
                   "127.0.0.1", "--jsonfile", report, *SCANS, f"localhost:{end.port}"]
        _, out, error = await ended(*command)
    if not report.exists():
        raise AssertionError(f"testssl.sh says {(out + error).decode()[-1500:]}")
    found = json.loads(report.read_text())
    bad = [f"{one['severity']} {one['id']}: {one['finding']}" for one in found
           if one["severity"] not in ("OK", "INFO") and one["id"] not in NOT_ROSN]
    told = {one["id"]: one["finding"] for one in found}
    print(f"       testssl.sh: {len(found)} findings; {told.get('FS_ciphers', '')}")
    if bad or len(found) < 50:
        raise AssertionError(f"{len(found)} findings, of which are no good: {bad}")
    for wanted, what in (("TLS1_2", "offered"), ("TLS1_3", "offered"), ("TLS1", "not offered"), ("TLS1_1", "not offered")):
        if not told.get(wanted, "").startswith(what):
            raise AssertionError(f"{wanted}: {told.get(wanted)}")


async def sslyze(setup):
    """By Mozilla's intermediate configuration, and its other checks."""
    material = leaf(setup.folder, "mozilla", "localhost", "interop.test")
    async with web() as to, setup.rosn(end := setup.end(to, material.context())):
        command = [setup.binary("sslyze"), "--certinfo", "--certinfo_ca_file", setup.folder.ca,
                   "--mozilla_config", "intermediate", f"localhost:{end.port}"]
        status, out, error = await ended(*command)
    text = out.decode()
    if status or "OK - Compliant" not in text or "VULNERABLE -" in text:
        raise AssertionError(f"sslyze ends with {status}: {text[-3000:]}{error.decode()[-500:]}")


CASES = [testssl, sslyze]
