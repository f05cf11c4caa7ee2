"""The local cloud's own certificate authority: TLS on the loopback address is checked as it would be elsewhere."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.processes import write_private

LOOPBACK = ipaddress.ip_address("127.0.0.1")
HOST_NAME = "localhost"
CA_VALIDITY = datetime.timedelta(days=3650)
LEAF_VALIDITY = datetime.timedelta(days=365)
_CLOCK_SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A server's certificate and its key (mode 0600), as files."""

    certificate_path: Path
    key_path: Path


class CertificateAuthority:
    """Signs certificates for ``localhost`` and ``127.0.0.1``, and by its name constraints for nothing else."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, ca_path: Path) -> None:
        self._certificate = certificate
        self._key = key
        self.ca_path = ca_path

    @classmethod
    def open(cls, directory: Path) -> CertificateAuthority:
        """The authority kept in ``directory``; made on the first call, and anew when it ends within a leaf's life."""
        certificate_path, key_path = directory / "ca.pem", directory / "ca-key.pem"
        if certificate_path.exists() and key_path.exists():
            certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
            key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
            if isinstance(key, ec.EllipticCurvePrivateKey) and certificate.not_valid_after_utc > _now() + LEAF_VALIDITY:
                return cls(certificate, key, certificate_path)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _root(key)
        directory.mkdir(parents=True, exist_ok=True)
        write_private(key_path, _pem(key))
        certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(certificate, key, certificate_path)

    @property
    def certificate(self) -> str:
        """The authority's certificate as PEM text: public."""
        return self.ca_path.read_text()

    def issue(self, directory: Path, common_name: str) -> Leaf:
        """Write a new server certificate into ``directory``. It replaces the one of an earlier start."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._leaf(common_name, key)
        directory.mkdir(parents=True, exist_ok=True)
        leaf = Leaf(directory / "server.pem", directory / "server-key.pem")
        write_private(leaf.key_path, _pem(key))
        leaf.certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return leaf

    def _leaf(self, common_name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        names: list[x509.GeneralName] = [x509.DNSName(HOST_NAME), x509.IPAddress(LOOPBACK)]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            _builder(common_name, self._certificate.subject, key, LEAF_VALIDITY)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _root(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = "Polyvault local cloud"
    # Whoever trusts this authority for a day must not thereby trust it for the internet.
    permitted = [x509.DNSName(HOST_NAME), x509.IPAddress(ipaddress.ip_network(f"{LOOPBACK}/32"))]
    return (
        _builder(name, _name(name), key, CA_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(
    common_name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, validity: datetime.timedelta
) -> x509.CertificateBuilder:
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
