"""`rosn check` says which file is wrong, and why, before anybody is served by it."""

import json

from harness import configuration, next_port
from over_tls.certificates import expired, leaf
from through.programs import ended


async def check(setup, **context):
    """Ends with an error for a listener with these settings; what it says."""
    file = setup.folder.path / "checked.json"
    end = setup.end(next_port(), {"status": True, **context})
    file.write_text(json.dumps(configuration([end], setup.folder.path)))
    status, out, error = await ended(setup.program, "check", "-c", file)
    return status, (out + error).decode()


async def faulty(setup, *words: str, **context):
    status, said = await check(setup, **context)
    if status == 0 or not all(word.lower() in said.lower() for word in words):
        raise AssertionError(f"check ends with {status}, and not with all of {words}: {said}")


def of(material) -> dict:
    return {"cert_chain": material.certificate, "private_key": material.key}


async def good(setup):
    status, said = await check(setup, **setup.folder.tls_context())
    if status or "0 errors" not in said:
        raise AssertionError(f"check ends with {status}: {said}")


async def keys_of_others(setup):
    one, two = (leaf(setup.folder, f"check-{name}") for name in ("one", "two"))
    await faulty(setup, one.certificate, two.key, "does not belong", cert_chain=one.certificate, private_key=two.key)


async def out_of_date(setup):
    old = expired(setup.folder, "old.test")
    await faulty(setup, old.certificate, "expired", **of(old))


async def unreadable(setup):
    material = leaf(setup.folder, "unreadable")
    missing = str(setup.folder.path / "nowhere.crt")
    await faulty(setup, missing, "no such file", cert_chain=missing, private_key=material.key)
    text = setup.folder.path / "text.crt"
    text.write_text("this is no certificate\n")
    await faulty(setup, str(text), "certificate", cert_chain=str(text), private_key=material.key)
    broken = setup.folder.path / "broken.crt"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    await faulty(setup, str(broken), cert_chain=str(broken), private_key=material.key)
    await faulty(setup, str(text), "key", cert_chain=material.certificate, private_key=str(text))
    await faulty(setup, str(text), ca_cert=str(text), verify_client=True, **of(material))


async def unknown_names(setup):
    material = of(leaf(setup.folder, "unknown"))
    await faulty(setup, "ROT13", cipher_suites="ECDHE-ECDSA-AES128-GCM-SHA256:ROT13", **material)
    await faulty(setup, "p1024", ecdh_curves="p1024", **material)
    await faulty(setup, "1.0", min_version="TLSv1_0", **material)
    await faulty(setup, "TLSv9", min_version="TLSv9", **material)


async def secrets_are_not_told(setup):
    """A key is never part of what is said."""
    material = leaf(setup.folder, "secret")
    other = leaf(setup.folder, "others")
    with open(material.key, encoding="ascii") as file:
        key = file.read()
    _, said = await check(setup, cert_chain=other.certificate, private_key=key)
    if any(line in said for line in key.splitlines()[1:-1]):
        raise AssertionError("the key is in what check says")


CASES = [good, keys_of_others, out_of_date, unreadable, unknown_names, secrets_are_not_told]
