"""The only place that wires: one cached function a use case.

Each function imports what it needs when it is first called, so that an execution environment loads only its own
use case's SDKs, and nothing happens at import.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from polyvault import config

if TYPE_CHECKING:
    from pathlib import Path

    from polyvault.adapters.aws_calls import AwsCalls
    from polyvault.contracts.stores import StoreDefinition
    from polyvault.domain.audit import Actor
    from polyvault.ports import Alerts, AuditLog, Clock, Inventory, SyncState, WorkQueue
    from polyvault.services.api import ApiServices
    from polyvault.services.record import Record
    from polyvault.services.report import WriteReport
    from polyvault.services.request_rotation import RequestRotation
    from polyvault.services.rotate import Rotate
    from polyvault.services.schedule import DueWork
    from polyvault.services.sync import Sync
    from polyvault.store import SecretStore, StoreDirectory

OWN_STORE = "aws"
"""The name of the account's own Secrets Manager, where rotation happens whatever the stores document holds."""


@cache
def clock() -> Clock:
    """The machine's clock."""
    from polyvault.adapters.system_clock import SystemClock

    return SystemClock()


@cache
def actor() -> Actor:
    """Who acts when a function acts by itself."""
    from polyvault.domain.audit import Actor, ActorType

    name = config.common().function_name
    return Actor(id=f"polyvault/{name}", type=ActorType.SERVICE, name=name)


@cache
def stand_in_caller() -> str | None:
    """Who calls under `sam local start-api`, which sends no identity; None in Lambda: no identity, no access."""
    return "sam-local" if config.runs_in_sam_local() else None


@cache
def audit_log() -> AuditLog:
    """The audit table."""
    from polyvault.adapters.aws_client import client
    from polyvault.adapters.dynamodb_audit import DynamoDbAuditLog

    common = config.common()
    return DynamoDbAuditLog(
        client("dynamodb"), table=common.audit_table, clock=clock(), retention_days=common.audit_retention_days
    )


@cache
def rotate() -> Rotate:
    """The four steps over this account's Secrets Manager."""
    import secrets

    from polyvault import providers, targets
    from polyvault.providers.aws_secrets_manager import Settings
    from polyvault.services.rotate import Rotate
    from polyvault.store import SecretStore

    settings = config.rotation()
    driver = providers.open_driver("aws-secrets-manager", Settings(), credential=None, clock=clock())
    return Rotate(
        SecretStore(driver, name=OWN_STORE, clock=clock(), audit=audit_log(), actor=actor()),
        targets=targets.loader(clock=clock(), ca_file=_certificates(settings.target_ca_parameter)),
        audit=audit_log(),
        clock=clock(),
        actor=actor(),
        choice=secrets.choice,
    )


@cache
def ingest() -> Record:
    """Events of Secrets Manager, from CloudTrail into the audit log."""
    from polyvault.contracts import cloudtrail
    from polyvault.services.record import Record

    return Record(audit_log(), cloudtrail.parse)


@cache
def aws_calls() -> AwsCalls:
    """The retry policy of calls to our own AWS resources."""
    from polyvault.adapters.aws_calls import AwsCalls

    return AwsCalls(clock())


@cache
def store_definitions() -> tuple[StoreDefinition, ...]:
    """The stores document, in order of priority; without one, this account's own Secrets Manager."""
    from polyvault.adapters.aws_client import client
    from polyvault.adapters.ssm_parameter import read_parameter
    from polyvault.contracts.stores import StoreDefinition, decode_stores

    common = config.common()
    if common.stores_parameter is None:
        own = StoreDefinition(
            name=OWN_STORE, provider="aws-secrets-manager", environment=common.environment, priority=1
        )
        return (own,)
    return decode_stores(read_parameter(client("ssm"), common.stores_parameter, calls=aws_calls()))


@cache
def stores() -> StoreDirectory:
    """All configured stores; each loads its SDK and connects when it is first used."""
    from polyvault.store import StoreDirectory

    by_name = {definition.name: definition for definition in store_definitions()}
    return StoreDirectory(tuple(by_name), lambda name: _open_store(by_name[name]))


def _open_store(definition: StoreDefinition) -> SecretStore:
    from polyvault import providers
    from polyvault.adapters.aws_client import client
    from polyvault.adapters.secret_credential import SecretCredential
    from polyvault.contracts.decoding import decode_settings
    from polyvault.store import SecretStore

    path = f"$.stores.{definition.name}.settings"
    settings = decode_settings(providers.load(definition.provider).Settings, definition.settings, path=path)
    arn = definition.credential_secret_arn
    credential = SecretCredential(client("secretsmanager"), arn=arn, calls=aws_calls()) if arn else None
    driver = providers.open_driver(definition.provider, settings, credential=credential, clock=clock())
    return SecretStore(driver, name=definition.name, clock=clock(), audit=audit_log(), actor=actor())


@cache
def alerts() -> Alerts:
    """The alerts topic, or nobody."""
    from polyvault.adapters.aws_client import client
    from polyvault.adapters.sns_alerts import NoAlerts, SnsAlerts

    topic = config.common().alerts_topic_arn
    return SnsAlerts(client("sns"), topic_arn=topic, calls=aws_calls()) if topic else NoAlerts()


@cache
def report() -> WriteReport:
    """Compliance reports over all configured stores."""
    from polyvault.adapters.aws_client import client
    from polyvault.adapters.report_html import HtmlReport
    from polyvault.adapters.report_json import JsonReport
    from polyvault.adapters.s3_report_archive import S3ReportArchive
    from polyvault.services.inventory import TakeStock
    from polyvault.services.report import WriteReport

    settings = config.compliance()
    return WriteReport(
        TakeStock([_inventory(definition) for definition in store_definitions()], audit=audit_log(), clock=clock()),
        formats=(JsonReport(), HtmlReport()),
        archive=S3ReportArchive(client("s3"), bucket=settings.reports_bucket, calls=aws_calls()),
        audit=audit_log(),
        alerts=alerts(),
        clock=clock(),
        actor=actor(),
    )


def _inventory(definition: StoreDefinition) -> Inventory:
    """A store's collector; a store without one is named in the report as not looked at."""
    from polyvault.adapters.aws_inventory import AwsInventory
    from polyvault.services.inventory import WithoutCollector

    collectors = {AwsInventory.provider: _aws_inventory}
    collector = collectors.get(definition.provider)
    if collector is None:
        return WithoutCollector(definition.name, definition.provider, definition.environment)
    return collector(definition)


def _aws_inventory(definition: StoreDefinition) -> Inventory:
    from polyvault.adapters.aws_client import client
    from polyvault.adapters.aws_inventory import AwsInventory
    from polyvault.contracts.decoding import decode_settings
    from polyvault.providers.aws_secrets_manager import Settings

    path = f"$.stores.{definition.name}.settings"
    region = decode_settings(Settings, definition.settings, path=path).region
    return AwsInventory(
        client("secretsmanager", region_name=region),
        client("kms", region_name=region),
        store=definition.name,
        environment=definition.environment,
        calls=aws_calls(),
    )


def sync_state(table: str) -> SyncState:
    """The state table."""
    from polyvault.adapters.aws_client import client
    from polyvault.adapters.dynamodb_state import DynamoDbSyncState

    return DynamoDbSyncState(client("dynamodb"), table=table, calls=aws_calls(), clock=clock())


def work_queue(url: str) -> WorkQueue:
    """One queue of orders."""
    from polyvault.adapters.aws_client import client
    from polyvault.adapters.sqs_queue import SqsQueue

    return SqsQueue(client("sqs"), url=url, calls=aws_calls())


@cache
def sync() -> Sync:
    """Sync executions over all configured stores."""
    from polyvault.services.sync import Sync

    environments = {definition.name: definition.environment for definition in store_definitions()}
    state = sync_state(config.sync().state_table)
    return Sync(stores(), environments, state, audit_log(), alerts(), clock())


@cache
def request_rotations() -> RequestRotation:
    """Rotation orders to all configured stores."""
    from polyvault.services.request_rotation import RequestRotation

    return RequestRotation(stores())


@cache
def due_work() -> DueWork:
    """What is due in the stores that rotate by themselves, and the scheduled syncs."""
    from polyvault import providers
    from polyvault.services.schedule import DueWork

    settings = config.scheduler()
    rotating = {
        definition.name: stores()[definition.name]
        for definition in store_definitions()
        if providers.load(definition.provider).ROTATES
    }
    return DueWork(
        rotating,
        sync_state(settings.state_table),
        work_queue(settings.rotation_queue_url),
        work_queue(settings.sync_queue_url),
        alerts(),
        clock(),
        principal=actor().id,
    )


@cache
def api_services() -> ApiServices:
    """What the REST API serves, over all configured stores."""
    from polyvault.services.api import ApiServices
    from polyvault.services.audit_query import AskAudit
    from polyvault.services.manage_syncs import ManageSyncs
    from polyvault.services.order_rotation import OrderRotation
    from polyvault.services.overview import Overview

    settings = config.api()
    overview = Overview(stores(), {definition.name: definition.provider for definition in store_definitions()})
    return ApiServices(
        overview,
        AskAudit(audit_log(), clock()),
        OrderRotation(overview, work_queue(settings.rotation_queue_url), audit_log(), clock()),
        ManageSyncs(
            {definition.name: definition.environment for definition in store_definitions()},
            sync_state(settings.state_table),
            work_queue(settings.sync_queue_url),
            audit_log(),
            clock(),
        ),
    )


def _certificates(parameter: str | None) -> Path | None:
    """A file with the PEM certificates of an SSM parameter, as libpq wants a file; None when there is no parameter."""
    from pathlib import Path
    from tempfile import NamedTemporaryFile

    from polyvault.adapters.aws_client import client

    if parameter is None:
        return None
    text: str = client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    with NamedTemporaryFile("w", prefix="target-ca-", suffix=".pem", delete=False) as file:
        file.write(text)
    return Path(file.name)
