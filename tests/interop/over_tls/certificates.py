"""Certificates for the cases, by openssl."""

import dataclasses
import datetime
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization


@dataclasses.dataclass
class Material:
    """Where a certificate and its key are."""

    certificate: str
    key: str

    def context(self, **more) -> dict:
        """MOSN's settings of TLS."""
        return {"status": True, "cert_chain": self.certificate, "private_key": self.key, **more}


def leaf(folder, name: str, *names: str, rsa=False, days=90, usage="serverAuth", ca="ca") -> Material:
    """A certificate of the folder's authority; `names` are of its subject, or else `name` is."""
    names = names or (name,)
    path = folder.path
    (path / f"{name}.ext").write_text(
        f"subjectAltName={','.join(f'DNS:{one}' for one in names)}\nbasicConstraints=CA:FALSE\n"
        f"keyUsage=digitalSignature\nextendedKeyUsage={usage}\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    algorithm = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if rsa else [
        "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    folder.openssl("genpkey", *algorithm, "-out", f"{name}.key")
    folder.openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={names[0]}", "-out", f"{name}.csr")
    folder.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial",
                   "-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.crt")
    return Material(str(path / f"{name}.crt"), str(path / f"{name}.key"))


def expired(folder, name: str) -> Material:
    """The same, and its time was over yesterday: openssl does not make such any more."""
    made = leaf(folder, name)
    certificate, key, ca, ca_key = (
        (folder.path / file).read_bytes() for file in (f"{name}.crt", f"{name}.key", "ca.crt", "ca.key")
    )
    template, issuer = x509.load_pem_x509_certificate(certificate), x509.load_pem_x509_certificate(ca)
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(
        issuer_name=issuer.subject, subject_name=template.subject, serial_number=template.serial_number,
        public_key=serialization.load_pem_private_key(key, None).public_key(),
        not_valid_before=now - datetime.timedelta(days=9), not_valid_after=now - datetime.timedelta(days=1),
        extensions=list(template.extensions),
    )
    signed = builder.sign(serialization.load_pem_private_key(ca_key, None), hashes.SHA256())
    (folder.path / f"{name}.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return made


def authority(folder, name: str) -> str:
    """Another authority, which nobody trusts unless told to."""
    folder.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
    folder.openssl("req", "-x509", "-new", "-key", f"{name}.key", "-days", "30", "-subj", f"/CN={name}", "-out",
                   f"{name}.crt", "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
    return str(folder.path / f"{name}.crt")


def ocsp(folder, certificate: str) -> str:
    """The authority says that this certificate is good; a file with that in DER."""
    asked = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-serial"], check=True, capture_output=True)
    serial = asked.stdout.decode().strip().partition("=")[2]
    (folder.path / "index.txt").write_text(f"V\t400101000000Z\t\t{serial}\tunknown\t/CN=leaf\n")
    folder.openssl("ocsp", "-index", "index.txt", "-CA", "ca.crt", "-rsigner", "ca.crt", "-rkey", "ca.key", "-issuer",
                   "ca.crt", "-cert", certificate, "-respout", "ocsp.der", "-ndays", "7")
    return str(folder.path / "ocsp.der")
