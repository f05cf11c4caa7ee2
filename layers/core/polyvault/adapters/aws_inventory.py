"""The inventory of AWS Secrets Manager: metadata of every secret of one account and Region, never a value.

Each secret gets a row. What IAM denies is a fact about the row (permission_denied), not a reason to leave it out.
Needs secretsmanager:ListSecrets, DescribeSecret, ListSecretVersionIds and GetResourcePolicy, and for keys of the
customer kms:DescribeKey, GetKeyRotationStatus and GetKeyPolicy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, ClassVar

from polyvault.adapters.aws_calls import AwsCalls
from polyvault.adapters.aws_client import FAILURES, error_code, is_transient
from polyvault.domain.checks.check import DATA_CLASS_TAG, ENVIRONMENT_TAG, OWNER_TAG, ROTATION_CLASS_TAG
from polyvault.domain.checks.protection import DEFAULT_KEY_ALIAS
from polyvault.domain.compliance import Gap
from polyvault.domain.inventory import (
    AttachedPolicy,
    Configuration,
    EncryptionKey,
    Evidence,
    Replica,
    StoreInventory,
    Subject,
    Version,
    Versions,
)
from polyvault.errors import StoreUnavailableError, UnclassifiedStoreError

PARALLEL = 8
_PAGE = 100
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_GONE = "ResourceNotFoundException"
_CANNOT_ROTATE = "UnsupportedOperationException"
# Other tags are the owner's affair: a report does not carry what it does not judge.
_TAGS = frozenset({OWNER_TAG, ENVIRONMENT_TAG, DATA_CLASS_TAG, ROTATION_CLASS_TAG})
_OWN_TAGS = "polyvault:"

type Answer = Mapping[str, Any]


class AwsInventory:
    """Inventory of one store. The clients come from `aws_client.client`, so that no cut answer reads as "none"."""

    provider: ClassVar[str] = "aws-secrets-manager"

    def __init__(self, secrets_manager: Any, kms: Any, *, store: str, environment: str, calls: AwsCalls) -> None:
        self._secrets_manager = secrets_manager
        self._kms = kms
        self._store = store
        self._environment = environment
        self._calls = calls

    def collect(self) -> StoreInventory:
        """List, then look at each secret and each key that one of them names."""
        try:
            entries = [
                entry
                for page in self._pages("list_secrets", IncludePlannedDeletion=True)
                for entry in page["SecretList"]
            ]
        except FAILURES as exc:
            if error_code(exc) in _DENIED:
                return StoreInventory(
                    self._store, self.provider, self._environment, gap=Gap.PERMISSION_DENIED, error=error_code(exc)
                )
            failure = StoreUnavailableError if is_transient(exc) else UnclassifiedStoreError
            raise failure(error_code(exc), store=self._store, provider=self.provider, operation="ListSecrets") from exc
        with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
            configurations = list(pool.map(self._configuration, entries))
            versions = list(pool.map(self._versions, entries))
            policies = list(pool.map(self._policy, entries))
        key_ids = {seen.facts.kms_key_id for seen in configurations if seen.facts and seen.facts.kms_key_id}
        keys = {key_id: self._key(key_id) for key_id in sorted(key_ids)}
        subjects = tuple(map(self._subject, entries, configurations, versions, policies, [keys] * len(entries)))
        return StoreInventory(self._store, self.provider, self._environment, subjects)

    def _subject(
        self,
        entry: Answer,
        configuration: Evidence[Configuration],
        versions: Evidence[Versions],
        policy: Evidence[AttachedPolicy],
        keys: Mapping[str, Evidence[EncryptionKey]],
    ) -> Subject:
        key_id = (configuration.facts and configuration.facts.kms_key_id) or entry.get("KmsKeyId")
        tags = {tag["Key"]: tag["Value"] for tag in entry.get("Tags", ())}
        _, _, _, region, account, *_ = entry["ARN"].split(":")
        return Subject(
            store=self._store,
            name=entry["Name"],
            environment=tags.get(ENVIRONMENT_TAG) or self._environment,
            account=account,
            region=region,
            configuration=configuration,
            versions=versions,
            policy=policy,
            key=keys.get(key_id or "") or _unread(f"kms:{key_id or DEFAULT_KEY_ALIAS}"),
            rotations=_unread(f"audit-log:rotations:{entry['Name']}"),
            deletion_scheduled="DeletedDate" in entry,
            gone=configuration.error == _GONE,
            replica=entry.get("PrimaryRegion", region) != region,
        )

    def _configuration(self, entry: Answer) -> Evidence[Configuration]:
        def read() -> Configuration:
            return _configuration_of(self._calls(self._secrets_manager.describe_secret, SecretId=entry["ARN"]))

        return _read(f"secretsmanager:DescribeSecret:{entry['ARN']}", read)

    def _versions(self, entry: Answer) -> Evidence[Versions]:
        def read() -> Versions:
            pages = self._pages("list_secret_version_ids", SecretId=entry["ARN"], IncludeDeprecated=True)
            found = (_version(version) for page in pages for version in page["Versions"])
            return Versions(tuple(sorted(found, key=lambda version: version.version_id)))

        return _read(f"secretsmanager:ListSecretVersionIds:{entry['ARN']}", read)

    def _policy(self, entry: Answer) -> Evidence[AttachedPolicy]:
        def read() -> AttachedPolicy:
            answer = self._calls(self._secrets_manager.get_resource_policy, SecretId=entry["ARN"])
            return AttachedPolicy(answer.get("ResourcePolicy"))

        return _read(f"secretsmanager:GetResourcePolicy:{entry['ARN']}", read)

    def _key(self, key_id: str) -> Evidence[EncryptionKey]:
        def read() -> EncryptionKey:
            seen = self._calls(self._kms.describe_key, KeyId=key_id)["KeyMetadata"]
            if seen["KeyManager"] != "CUSTOMER":
                return EncryptionKey(customer_managed=False, state=seen["KeyState"], rotation_enabled=None, policy=None)
            arn = seen["Arn"]
            policy = self._calls(self._kms.get_key_policy, KeyId=arn, PolicyName="default")["Policy"]
            return EncryptionKey(
                customer_managed=True, state=seen["KeyState"], rotation_enabled=self._key_rotates(arn), policy=policy
            )

        return _read(f"kms:{key_id}", read)

    def _key_rotates(self, arn: str) -> bool | None:
        try:
            return bool(self._calls(self._kms.get_key_rotation_status, KeyId=arn)["KeyRotationEnabled"])
        except FAILURES as exc:
            if error_code(exc) == _CANNOT_ROTATE:
                return None
            raise

    def _pages(self, operation: str, **arguments: Any) -> Iterator[Answer]:
        token: dict[str, str] = {}
        while True:
            page = self._calls(getattr(self._secrets_manager, operation), MaxResults=_PAGE, **arguments, **token)
            yield page
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


def _read[T](evidence_id: str, read: Callable[[], T]) -> Evidence[T]:
    """The facts, or why they could not be read: a denial, or any other failure by the vault's own word."""
    try:
        return Evidence(evidence_id, read())
    except FAILURES as exc:
        code = error_code(exc)
        return Evidence(evidence_id, None, Gap.PERMISSION_DENIED if code in _DENIED else Gap.DATA_MISSING, code)


def _unread[T](evidence_id: str) -> Evidence[T]:
    return Evidence(evidence_id, None, Gap.DATA_MISSING, "was not read")


def _configuration_of(answer: Answer) -> Configuration:
    replicas = (Replica(r["Region"], r["Status"], r.get("KmsKeyId")) for r in answer.get("ReplicationStatus") or ())
    tags = {tag["Key"]: tag["Value"] for tag in answer.get("Tags", ())}
    return Configuration(
        created_at=_utc(answer.get("CreatedDate")),
        last_rotated_at=_utc(answer.get("LastRotatedDate")),
        next_rotation_at=_utc(answer.get("NextRotationDate")),
        last_accessed_at=_utc(answer.get("LastAccessedDate")),
        rotation_enabled=bool(answer.get("RotationEnabled")),
        rotation_schedule=_schedule(answer.get("RotationRules") or {}),
        kms_key_id=answer.get("KmsKeyId") or None,
        owning_service=answer.get("OwningService"),
        replicas=tuple(sorted(replicas, key=lambda replica: replica.region)),
        tags={key: value for key, value in tags.items() if key in _TAGS or key.startswith(_OWN_TAGS)},
    )


def _schedule(rules: Answer) -> str | None:
    days = rules.get("AutomaticallyAfterDays")
    return rules.get("ScheduleExpression") or (f"rate({days} days)" if days else None)


def _version(version: Answer) -> Version:
    return Version(version["VersionId"], _utc(version.get("CreatedDate")), frozenset(version.get("VersionStages", ())))


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
