"""A test peer for each provider: what the conformance suite runs on. One row here is all that a new vault needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
from polyvault import providers
from polyvault.adapters.system_clock import SystemClock
from polyvault.domain.audit import Actor, ActorType
from polyvault.domain.capability import Capability
from polyvault.domain.secret import SecretValue
from polyvault.ports import Clock, StoreDriver
from polyvault.store import SecretStore

from local import aws_process, openbao
from local.certificates import CertificateAuthority
from tests.conformance.faulty_proxy import Proxy, proxy_for
from tests.fakes import RecordingAuditLog

ACTOR = Actor("arn:aws:iam::123456789012:role/conformance", ActorType.ROLE)
AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Vault:
    """A store on its peer with the parts that a test looks at."""

    store: SecretStore
    driver: StoreDriver
    audit: RecordingAuditLog = field(default_factory=RecordingAuditLog)


def vault(driver: StoreDriver, clock: Clock) -> Vault:
    """The portable type around a driver."""
    audit = RecordingAuditLog()
    return Vault(SecretStore(driver, name="peer", clock=clock, audit=audit, actor=ACTOR), driver, audit)


def memory(_request: pytest.FixtureRequest) -> Vault:
    module, clock = providers.load("memory"), SystemClock()
    return vault(module.Provider(module.Settings(), credential=None, clock=clock), clock)


def aws(request: pytest.FixtureRequest, *, url: str | None = None) -> Vault:
    server: aws_process.Aws = request.getfixturevalue("emulated_aws")
    patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    for name, value in {**AWS_ENVIRONMENT, "AWS_ENDPOINT_URL": url or server.endpoint_url}.items():
        patch.setenv(name, value)
    module, clock = providers.load("aws-secrets-manager"), SystemClock()
    return vault(module.Provider(module.Settings(), credential=None, clock=clock), clock)


def hashicorp(request: pytest.FixtureRequest, *, kv_version: int, url: str | None = None) -> Vault:
    server: openbao.OpenBao = request.getfixturevalue("openbao")
    module, clock = providers.load("hashicorp-vault"), SystemClock()
    settings = module.Settings(
        url=url or server.url,
        mount=openbao.KV2_MOUNT if kv_version == 2 else openbao.KV1_MOUNT,
        kv_version=kv_version,
        role_id=server.role_id,
        ca_certificate=server.ca_certificate,
    )
    return vault(module.Provider(settings, credential=lambda: SecretValue(server.secret_id), clock=clock), clock)


@contextmanager
def aws_proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    server: aws_process.Aws = request.getfixturevalue("emulated_aws")
    with proxy_for(server.endpoint_url) as proxy:
        yield proxy


@contextmanager
def hashicorp_proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    server: openbao.OpenBao = request.getfixturevalue("openbao")
    authority: CertificateAuthority = request.getfixturevalue("local_ca")
    leaf = authority.issue(request.getfixturevalue("tmp_path"), "proxy")
    with proxy_for(server.url, ca_file=str(server.ca_path), leaf=leaf) as proxy:
        yield proxy


@dataclass(frozen=True)
class Peer:
    """The provider that is tested, how a store is opened on its peer, and what it must claim.

    ``proxy`` stands between the two for tests of spoiled answers; None for a vault without a wire.
    """

    provider: str
    open: Callable[..., Vault]
    claims: Capability
    proxy: Callable[[pytest.FixtureRequest], AbstractContextManager[Proxy]] | None = None


_BASE = Capability.READ | Capability.WRITE | Capability.LIST
_AWS = (
    _BASE
    | Capability.VERSIONS
    | Capability.METADATA
    | Capability.STAGING_LABELS
    | Capability.IDEMPOTENT_WRITE
    | Capability.SOFT_DELETE
    | Capability.BINARY
    | Capability.NATIVE_ROTATION
)
_KV2 = _BASE | Capability.VERSIONS | Capability.METADATA | Capability.CHECK_AND_SET | Capability.SOFT_DELETE

PEERS: Mapping[str, Peer] = {
    "memory": Peer("memory", memory, _AWS | Capability.CHECK_AND_SET),
    "aws": Peer("aws-secrets-manager", aws, _AWS, aws_proxy),
    "kv2": Peer("hashicorp-vault", partial(hashicorp, kv_version=2), _KV2, hashicorp_proxy),
    "kv1": Peer("hashicorp-vault", partial(hashicorp, kv_version=1), _BASE, hashicorp_proxy),
}
