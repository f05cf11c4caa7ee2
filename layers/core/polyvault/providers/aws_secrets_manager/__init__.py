"""AWS Secrets Manager through botocore: boto3's resource layer costs a third of the import and is not used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from polyvault.contracts.answers import answer_check, form_check
from polyvault.domain.capability import Capability, StoreLimits
from polyvault.domain.secret import (
    RawVersion,
    RotationState,
    SecretInfo,
    SecretMetadata,
    SecretValue,
    StagingLabel,
    VersionInfo,
    VersionRef,
)
from polyvault.errors import ErrorCode
from polyvault.ports import Clock
from polyvault.providers import CredentialSource
from polyvault.providers.aws_secrets_manager import shapes
from polyvault.providers.aws_secrets_manager.codes import NoSuchVersion, classify, retry_after

LAYER = None
ROTATES = True
_PAGE = 100
_CONNECTIONS = 16
_SHORTEST_ID, _LONGEST_ID = 32, 64

_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "GetSecretValue": ("Name", "VersionId", "SecretString|SecretBinary"),
    "ListSecrets": ("SecretList",),
    "ListSecretVersionIds": ("Name", "Versions"),
    "DescribeSecret": ("ARN", "Name"),
    "CreateSecret": ("Name", "VersionId"),
    "PutSecretValue": ("Name", "VersionId"),
    "UpdateSecret": ("Name",),
    "UpdateSecretVersionStage": ("Name",),
    "DeleteSecret": ("Name", "DeletionDate"),
    "RotateSecret": ("Name", "VersionId"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are seconds. Region and credentials default to the function's own; ``kms_key_id`` is for new secrets."""

    region: str | None = None
    kms_key_id: str | None = None
    connect_seconds: float = 1.0
    read_seconds: float = 3.0


class Provider:
    """One account and Region. One attempt a call; every answer is checked to be whole."""

    provider: ClassVar[str] = "aws-secrets-manager"
    capabilities = (
        Capability.READ
        | Capability.WRITE
        | Capability.LIST
        | Capability.VERSIONS
        | Capability.METADATA
        | Capability.STAGING_LABELS
        | Capability.IDEMPOTENT_WRITE
        | Capability.SOFT_DELETE
        | Capability.BINARY
        | Capability.NATIVE_ROTATION
    )
    limits = StoreLimits(
        # The second form is the ARN by which Secrets Manager names the secret in its rotation events.
        name_pattern=re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}|arn:aws[a-z-]*:secretsmanager:[A-Za-z0-9:/_+=.@-]{1,1000}"),
        name_rule="1 to 512 of A-Z a-z 0-9 / _ + = . @ -",
        max_value_bytes=65_536,
        max_tags=50,
        recovery_days=range(7, 31),
    )

    def __init__(self, settings: Settings, *, credential: CredentialSource | None, clock: Clock) -> None:
        import botocore.session
        from botocore.config import Config

        self._kms_key_id = settings.kms_key_id
        self._client: Any = botocore.session.get_session().create_client(
            "secretsmanager",
            region_name=settings.region,
            config=Config(
                connect_timeout=settings.connect_seconds,
                read_timeout=settings.read_seconds,
                retries={"total_max_attempts": 1, "mode": "standard"},
                max_pool_connections=_CONNECTIONS,
            ),
        )
        self._client.meta.events.register("before-parse.secrets-manager", form_check)
        self._client.meta.events.register("after-call.secrets-manager", answer_check(_REQUIRED))

    def get(self, name: str, version: VersionRef) -> RawVersion:
        if version.version_id is not None and not _SHORTEST_ID <= len(version.version_id) <= _LONGEST_ID:
            raise NoSuchVersion(version.version_id)
        which = {"VersionId": version.version_id, "VersionStage": version.label and version.label.value}
        answer = self._client.get_secret_value(SecretId=name, **_given(which))
        return shapes.raw(answer, shapes.value_of(answer))

    def create(self, name: str, value: SecretValue, *, like: str | None, version_id: str | None) -> RawVersion:
        key = self._client.describe_secret(SecretId=like).get("KmsKeyId") if like else self._kms_key_id
        optional = _given({"ClientRequestToken": version_id, "KmsKeyId": key})
        answer = self._client.create_secret(Name=name, **_value_argument(value), **optional)
        return shapes.raw(answer, value)

    def put(self, name: str, value: SecretValue, *, expect: str | None, version_id: str | None) -> RawVersion:
        # `expect` is None: CHECK_AND_SET is not claimed, so SecretStore refuses it before the call.
        optional = _given({"ClientRequestToken": version_id})
        return shapes.raw(self._client.put_secret_value(SecretId=name, **_value_argument(value), **optional), value)

    def versions(self, name: str) -> Iterable[VersionInfo]:
        for page in self._pages("list_secret_version_ids", SecretId=name, IncludeDeprecated=True):
            for version in page["Versions"]:
                labels = frozenset(version.get("VersionStages", ()))
                yield VersionInfo(version["VersionId"], shapes.utc(version.get("CreatedDate")), labels)

    def list(self, prefix: str) -> Iterable[SecretInfo]:
        filters = {"Filters": [{"Key": "name", "Values": [prefix]}]} if prefix else {}
        for page in self._pages("list_secrets", **filters):
            yield from (shapes.info(entry) for entry in page["SecretList"] if entry["Name"].startswith(prefix))

    def list_tagged(self, tag_key: str) -> Iterable[SecretInfo]:
        for page in self._pages("list_secrets", Filters=[{"Key": "tag-key", "Values": [tag_key]}]):
            infos = (shapes.info(entry) for entry in page["SecretList"])
            yield from (info for info in infos if tag_key in info.metadata.tags)  # the filter matches beginnings

    def delete(self, name: str, *, recovery_days: int | None) -> None:
        self._client.delete_secret(SecretId=name, **_given({"RecoveryWindowInDays": recovery_days}))

    def metadata(self, name: str) -> SecretMetadata:
        return shapes.metadata(self._client.describe_secret(SecretId=name))

    def update_metadata(self, name: str, *, description: str | None, tags: Mapping[str, str] | None) -> None:
        if description is not None:
            self._client.update_secret(SecretId=name, Description=description)
        if tags:
            self._client.tag_resource(SecretId=name, Tags=[{"Key": k, "Value": v} for k, v in tags.items()])

    def rotation_state(self, name: str) -> RotationState:
        answer = self._client.describe_secret(SecretId=name)
        labels = answer.get("VersionIdsToStages", {})
        return RotationState(
            arn=answer["ARN"],
            name=answer["Name"],
            rotation_enabled=answer.get("RotationEnabled", False),
            rotation_function_arn=answer.get("RotationLambdaARN"),
            owning_service=answer.get("OwningService"),
            deletion_scheduled=answer.get("DeletedDate") is not None,
            tags=shapes.tags_of(answer),
            labels={version: frozenset(held) for version, held in labels.items() if held},
        )

    def put_staged(
        self,
        name: str,
        value: SecretValue,
        *,
        version_id: str,
        label: StagingLabel,
        rotation_token: SecretValue | None,
    ) -> RawVersion:
        answer = self._client.put_secret_value(
            SecretId=name,
            ClientRequestToken=version_id,
            VersionStages=[label.value],
            **_value_argument(value),
            **({"RotationToken": rotation_token.reveal()} if rotation_token else {}),
        )
        return shapes.raw(answer, value)

    def move_label(self, name: str, label: StagingLabel, *, to: str | None, expect_at: str | None) -> None:
        which = _given({"MoveToVersionId": to, "RemoveFromVersionId": expect_at})
        self._client.update_secret_version_stage(SecretId=name, VersionStage=label.value, **which)

    def request_rotation(self, name: str, *, client_request_token: str) -> str:
        answer = self._client.rotate_secret(SecretId=name, ClientRequestToken=client_request_token)
        return str(answer["VersionId"])

    def ping(self) -> None:
        self._client.list_secrets(MaxResults=1)

    def close(self) -> None:
        self._client.close()

    def classify(self, exc: Exception) -> ErrorCode:
        return classify(exc)

    def retry_after(self, exc: Exception) -> float | None:
        return retry_after(exc)

    def _pages(self, operation: str, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        token: dict[str, str] = {}
        while True:
            page = getattr(self._client, operation)(MaxResults=_PAGE, **arguments, **token)
            yield page
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _value_argument(value: SecretValue) -> dict[str, Any]:
    return {"SecretString": value.reveal()} if value.is_text else {"SecretBinary": value.reveal_bytes()}
