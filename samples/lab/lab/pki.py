"""Certificates of the lab: one authority, made anew at each run, and used nowhere else."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .network import WORK

DAY = datetime.timedelta(days=1)


class Authority:
    """Issues certificates; keys are P-256."""

    def __init__(self):
        self.folder = WORK / "pki"
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name("Lab Authority")
        now = datetime.datetime.utcnow()
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        certificate = (
            x509.CertificateBuilder().subject_name(self.name).issuer_name(self.name)
            .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - 365 * DAY).not_valid_after(now + 365 * DAY)
            .add_extension(constraints, critical=True).sign(self.key, hashes.SHA256())
        )
        self.path = self.write("ca.pem", certificate.public_bytes(serialization.Encoding.PEM))

    def write(self, file, content):
        path = self.folder / file
        path.write_bytes(content)
        path.chmod(0o644)
        return path

    def issue(self, *names, expired=False, label=None):
        """A certificate for these names, and its key; `expired` ended it ten days ago."""
        label = label or names[0] + (".expired" if expired else "")
        paths = self.folder / f"{label}.pem", self.folder / f"{label}.key"
        if paths[0].exists():
            return paths
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.utcnow()
        until = now - 10 * DAY if expired else now + 365 * DAY
        alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        certificate = (
            x509.CertificateBuilder().subject_name(name(names[0])).issuer_name(self.name)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - 200 * DAY).not_valid_after(until)
            .add_extension(alternatives, critical=False).sign(self.key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.write(paths[0].name, certificate.public_bytes(serialization.Encoding.PEM))
        self.write(paths[1].name, private)
        return paths


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
