"""The main job step by step, for the demo and for the tests on a deployed stack.

Each function takes the running local cloud and does what a user would: deploy, attach, rotate, sync, ask, report.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import hvac
from botocore.config import Config

from local import deployment
from local.cloud import Cloud
from local.demo import database
from local.demo.api import Api
from local.deployment import REGION, Stack

BUNDLE = "polyvault"
APPLICATION = "orders"
STORES_PARAMETER = "/polyvault/dev/stores"
TARGET_CA_PARAMETER = "/polyvault/dev/target-ca"
VAULT_CREDENTIAL = "polyvault/stores/vault"
SECRET = "prod/orders/database"  # noqa: S105 - a name
SYNC_CONFIGURATION = "prod-to-vault"
POLL_SECONDS = 0.25


class ScenarioError(Exception):
    """The stack did not do what it must within its time."""


@dataclass(frozen=True, slots=True)
class Site:
    """The local cloud with the bundle deployed."""

    cloud: Cloud
    bundle: Stack
    logs: Path

    def aws(self, service: str) -> Any:
        """A boto3 client as any developer would make it from `make env`."""
        return client(self.cloud, service)

    @property
    def api_url(self) -> str:
        return local_api_url(self.bundle.outputs["ApiUrl"], self.cloud.env()["AWS_ENDPOINT_URL"])

    @property
    def api(self) -> Api:
        env = self.cloud.env()
        return Api(
            self.api_url,
            access_key=env["AWS_ACCESS_KEY_ID"],
            secret_key=env["AWS_SECRET_ACCESS_KEY"],
            region=REGION,
        )


def client(cloud: Cloud, service: str) -> Any:
    """A boto3 client of the emulated AWS."""
    env = cloud.env()
    return boto3.client(
        service,  # type: ignore[call-overload]  # one overload for each service by its literal name
        region_name=REGION,
        endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        config=Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 1}),
    )


def local_api_url(url: str, endpoint: str) -> str:
    """Where the emulator serves an API that on AWS has a host name of its own."""
    parts = urlsplit(url)
    return f"{endpoint}/_aws/execute-api/{parts.hostname.split('.')[0]}{parts.path}" if parts.hostname else url


def wait_until[T](what: str, probe: Callable[[], T | None], *, seconds: float) -> T:
    """Poll until the probe answers; raises ScenarioError naming what did not happen."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise ScenarioError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


def configure_stores(cloud: Cloud) -> str:
    """Write the stores document, the second vault's credential and the database's CA; answers the credential's ARN.

    The document names credentials by ARN; the AppRole secret id itself lives in Secrets Manager.
    """
    secrets_manager = client(cloud, "secretsmanager")
    try:
        arn = secrets_manager.create_secret(Name=VAULT_CREDENTIAL, SecretString=cloud.openbao.secret_id)["ARN"]
    except secrets_manager.exceptions.ResourceExistsException:
        arn = secrets_manager.put_secret_value(SecretId=VAULT_CREDENTIAL, SecretString=cloud.openbao.secret_id)["ARN"]
    stores = {
        "stores": [
            {"name": "aws", "provider": "aws-secrets-manager", "environment": "prod", "priority": 1, "settings": {}},
            {
                "name": "vault",
                "provider": "hashicorp-vault",
                "environment": "staging",
                "priority": 2,
                "credentialSecretArn": arn,
                "settings": {
                    "url": cloud.openbao.url,
                    "mount": "secret",
                    "authMethod": "approle",
                    "roleId": cloud.openbao.role_id,
                    "caCertificate": cloud.openbao.ca_certificate,
                },
            },
        ]
    }
    parameters = client(cloud, "ssm")
    for name, value in (
        (STORES_PARAMETER, json.dumps(stores)),
        (TARGET_CA_PARAMETER, cloud.postgres.ca_certificate),
    ):
        parameters.put_parameter(Name=name, Value=value, Type="String", Tier="Advanced", Overwrite=True)
    return str(arn)


def deploy_bundle(cloud: Cloud, logs: Path) -> Site:
    """Build, when a source changed, and deploy Polyvault itself."""
    env = cloud.env()
    credential_arn = configure_stores(cloud)
    deployment.build(env, logs / "build.log")
    bundle = deployment.deploy(
        BUNDLE,
        deployment.PROJECT / ".aws-sam/build/template.yaml",
        {
            "Environment": "dev",
            "StoresParameterName": STORES_PARAMETER,
            "TargetCaParameterName": TARGET_CA_PARAMETER,
            "StoreCredentialSecretArns": credential_arn,
            "EnableHashicorp": "true",
            "ManagedSecretPrefix": "prod/",
        },
        env,
        logs / "deploy-polyvault.log",
    )
    return Site(cloud, bundle, logs)


def deploy_application(site: Site) -> Stack:
    """The application's stack: its secrets, then its database, then the rotation schedule."""
    env = site.cloud.env()
    parameters = {
        "RotationFunctionArn": site.bundle.outputs["RotationFunctionArn"],
        "DatabaseHost": site.cloud.postgres.host,
        "DatabasePort": str(site.cloud.postgres.port),
        "SecretName": SECRET,
    }
    template = Path(__file__).with_name("application.yaml")
    log = site.logs / "deploy-orders.log"
    secrets_manager = site.aws("secretsmanager")
    try:
        secrets_manager.describe_secret(SecretId=SECRET)
    except secrets_manager.exceptions.ResourceNotFoundException:
        deployment.deploy(APPLICATION, template, {**parameters, "AttachRotation": "false"}, env, log)
    application, admin = (
        database.parse(secrets_manager.get_secret_value(SecretId=name)["SecretString"])
        for name in (SECRET, f"{SECRET}-admin")
    )
    postgres = site.cloud.postgres
    superuser = (
        f"host={postgres.host} port={postgres.port} user={postgres.superuser} password={postgres.password} "
        f"dbname=postgres sslmode=verify-full sslrootcert={postgres.ca_path}"
    )
    database.provision(superuser, application, admin)
    return deployment.deploy(APPLICATION, template, {**parameters, "AttachRotation": "true"}, env, log)


def rotate(site: Site, secret: str = SECRET, *, seconds: float = 60) -> str:
    """RotateSecret, and wait until the new version is AWSCURRENT and nothing is pending; answers its version id."""
    secrets_manager = site.aws("secretsmanager")
    token = str(uuid.uuid4())

    def accepted() -> str | None:
        try:
            return str(secrets_manager.rotate_secret(SecretId=secret, ClientRequestToken=token)["VersionId"])
        except secrets_manager.exceptions.InvalidRequestException as error:
            if "previous rotation" not in str(error):
                raise
            return None

    version_id = wait_until("the end of the previous rotation", accepted, seconds=seconds)
    wait_until(
        f"the rotation of {secret}", lambda: is_settled(secrets_manager, secret, current=version_id), seconds=seconds
    )
    return version_id


def is_settled(secrets_manager: Any, secret: str, *, current: str | None = None) -> bool:
    """True when no version is pending and, when asked for, ``current`` is the version that readers get."""
    labels: dict[str, list[str]] = secrets_manager.describe_secret(SecretId=secret)["VersionIdsToStages"]
    holder = {label: version for version, held in labels.items() for label in held}
    nothing_pending = holder.get("AWSPENDING") in (None, holder.get("AWSCURRENT"))
    return nothing_pending and (current is None or holder.get("AWSCURRENT") == current)


def sync(site: Site, *, filters: Iterable[str] = ("prod/orders/*",), seconds: float = 60) -> dict[str, Any]:
    """Register a sync from AWS to the other vault and run it through the API; answers the finished execution."""
    api = site.api
    api.put(
        f"/sync/configurations/{SYNC_CONFIGURATION}",
        {
            "id": SYNC_CONFIGURATION,
            "name": "Orders, from AWS to Vault",
            "enabled": True,
            "sourceEnvironment": "prod",
            "targetEnvironment": "staging",
            "sourceVault": "aws",
            "targetVault": "vault",
            "syncType": "manual",
            "secretFilters": list(filters),
            "conflictResolution": "source-wins",
            "validateAfterSync": True,
        },
    )
    started = api.post("/sync/executions", {"configId": SYNC_CONFIGURATION})
    path = f"/sync/executions/{SYNC_CONFIGURATION}/{started['executionId']}"

    def finished() -> dict[str, Any] | None:
        execution: dict[str, Any] = api.get(path)
        return execution if execution["status"] not in ("QUEUED", "PLANNING", "APPLYING") else None

    return wait_until("the sync", finished, seconds=seconds)


def verified_in_vault(site: Site, secret: str = SECRET) -> bool:
    """True when the other vault, asked through hvac, holds exactly what AWSCURRENT holds."""
    expected = site.aws("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    bao = site.cloud.openbao
    vault = hvac.Client(url=bao.url, token=bao.token(), verify=str(bao.ca_path))
    answer = vault.secrets.kv.v2.read_secret_version(path=secret, mount_point="secret", raise_on_deleted_version=True)
    return bool(answer["data"]["data"]["value"] == expected)


def audit_events(site: Site, secret: str = SECRET, *, minutes: int = 60) -> list[dict[str, Any]]:
    """All audit events of the secret in the last minutes, newest first, page by page through the API."""
    end = datetime.now(UTC) + timedelta(minutes=1)
    query: dict[str, str | int] = {
        "secret": secret,
        "start": (end - timedelta(minutes=minutes)).isoformat(),
        "end": end.isoformat(),
        "limit": 100,
    }
    events: list[dict[str, Any]] = []
    while True:
        page = site.api.get("/audit/events", **query)
        events += page["events"]
        if not page.get("nextToken"):
            return events
        query["token"] = page["nextToken"]


def steps_of(events: Iterable[dict[str, Any]], version_id: str) -> list[str]:
    """The steps that Polyvault itself recorded as done for one rotation."""
    return sorted(
        {
            event["detail"]["step"]
            for event in events
            if event["eventType"] == "rotation.step"
            and event["outcome"] == "success"
            and event["detail"].get("versionId") == version_id
        }
    )


def report(site: Site, folder: Path, framework: str = "SOC2") -> dict[str, Any]:
    """Run the compliance function and fetch what it wrote; answers its result with the local path of the HTML."""
    end = datetime.now(UTC)
    answer = site.aws("lambda").invoke(
        FunctionName=site.bundle.outputs["ComplianceFunctionName"],
        Payload=json.dumps(
            {
                "framework": framework,
                "start": (end - timedelta(days=7)).isoformat(),
                "end": end.isoformat(),
                "scope": ["prod"],
            }
        ),
    )
    body = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise ScenarioError(f"the compliance function failed: {body.get('errorType')}: {body.get('errorMessage')}")
    folder.mkdir(parents=True, exist_ok=True)
    bucket = site.bundle.outputs["ReportsBucketName"]
    for key in body["files"]:
        name = key.rsplit("/", 1)[-1]
        (folder / name).write_bytes(site.aws("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    return {**body, "html": str(folder / "report.html")}
