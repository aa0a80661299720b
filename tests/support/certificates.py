"""Certificates for servers and users of the tests: an authority, keys, revocations."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path
    serial: int


class Authority:
    """Signs certificates, and revokes them."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self._name = folder, _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        made = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._certificate = made
        self.root = folder / f"{name}.crt"
        self.root.write_bytes(made.public_bytes(Encoding.PEM))

    def certify(self, name: str, *hosts: str, password: str = "", der: bool = False) -> Certified:
        """For a server under these names and addresses, or for a user."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name), self._name, key)
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        made = builder.sign(self._key, hashes.SHA256())
        place = self.folder / f"{name}-{made.serial_number % 10_000}"
        found = Certified(place.with_suffix(".crt"), place.with_suffix(".key"), made.serial_number)
        found.certificate.write_bytes(made.public_bytes(Encoding.PEM))
        secret: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            secret = serialization.BestAvailableEncryption(password.encode())
        form = Encoding.DER if der else Encoding.PEM
        found.key.write_bytes(key.private_bytes(form, PrivateFormat.PKCS8, secret))
        found.key.chmod(0o600)
        return found

    def revoke(self, path: Path, *serials: int) -> None:
        """Write the list of what is revoked, all of it."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        builder = builder.last_update(now - _DAY).next_update(now + _DAY)
        for serial in serials:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(now - _DAY)
                .build()
            )
        path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    @property
    def hashed_name(self) -> str:
        """What OpenSSL looks for in a folder of lists: X509_NAME_hash of the canonical name."""
        text = next(iter(self._name)).value
        return _name_hash(str(text))


def _name_hash(common_name: str) -> str:
    """Of a name that is one common name: SHA-1 over the canonical DER without the outer header."""
    value = common_name.lower().encode()
    string = b"\x0c" + bytes([len(value)]) + value  # UTF8String
    pair = b"\x06\x03\x55\x04\x03" + string
    sequence = b"\x30" + bytes([len(pair)]) + pair
    found = hashlib.sha1(b"\x31" + bytes([len(sequence)]) + sequence).digest()
    return f"{int.from_bytes(found[:4], 'little'):08x}"


def _builder(subject: x509.Name, issuer: x509.Name, key: Key) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
