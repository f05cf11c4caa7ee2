"""Rules on what the stack keeps: tables, buckets, keys, topics, the API's logs, and the audit trail."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.bundle.rules import ACCESS_LOG_FIELDS, Rule, into, is_event_delivery, named_condition
from tests.bundle.sam_template import Template, attribute_of, listed, named

REWRITES = {"dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteTable"}
KEY_USE = {
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:CreateGrant",
}
KEPT = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key"}
RULES: list[Rule] = []
rule = into(RULES)


@rule
def tables(template: Template) -> Iterator[str]:
    """Tables are paid by use, recoverable, encrypted with our key, expire, and can be protected from deletion."""
    for name, table in template.of_type("AWS::DynamoDB::Table"):
        demands = {
            "not on demand": table.get("BillingMode") == "PAY_PER_REQUEST",
            "no point-in-time recovery": table.get("PointInTimeRecoverySpecification")
            == {"PointInTimeRecoveryEnabled": True},
            "not encrypted with our key": attribute_of(table.get("SSESpecification", {}).get("KMSMasterKeyId")),
            "nothing expires": table.get("TimeToLiveSpecification", {}).get("Enabled") is True,
            "no deletion protection": "DeletionProtectionEnabled" in table,
        }
        yield from (f"{name}: {what}" for what, holds in demands.items() if not holds)


@rule
def buckets(template: Template) -> Iterator[str]:
    """Buckets are closed to the public and to plain HTTP, versioned, and encrypted with our key."""
    closed = {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
    tls_only = {
        attribute_of(template.resources[statement.resource_id]["Properties"]["Bucket"])
        for statement in template.statements()
        if statement.resource_type == "AWS::S3::BucketPolicy"
        and not statement.allows
        and statement.body.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        and statement.principals == ["*"]
        and statement.actions == ["s3:*"]
    }
    for name, bucket in template.of_type("AWS::S3::Bucket"):
        block = bucket.get("PublicAccessBlockConfiguration", {})
        demands = {
            "open to the public": {key for key, value in block.items() if value is True} == closed,
            "open to plain HTTP": name in tls_only,
            "not versioned": bucket.get("VersioningConfiguration") == {"Status": "Enabled"},
            "not encrypted with our key": "KMSMasterKeyID" in str(bucket.get("BucketEncryption")),
        }
        yield from (f"{name}: {what}" for what, holds in demands.items() if not holds)


@rule
def archive_is_locked(template: Template) -> Iterator[str]:
    """The archive is written once: Object Lock with a default retention."""
    for name, bucket in template.of_type("AWS::S3::Bucket"):
        lock = bucket.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
        if name.startswith("Archive") and not (
            bucket.get("ObjectLockEnabled") is True and {"Mode", "Days"} <= set(lock)
        ):
            yield f"{name}: no Object Lock with a default retention"


@rule
def keys(template: Template) -> Iterator[str]:
    """Keys turn by themselves, and are used only through named services."""
    for name, key in template.of_type("AWS::KMS::Key"):
        if key.get("EnableKeyRotation") is not True:
            yield f"{name}: never turned"
    for statement in template.statements():
        used = KEY_USE & set(statement.actions)
        limits = ("kms:ViaService", "kms:EncryptionContext", "aws:SourceAccount", "aws:SourceArn")
        if statement.allows and used and not is_event_delivery(statement) and not named_condition(statement, *limits):
            yield f"{statement}: {', '.join(sorted(used))} through any service"


@rule
def topics(template: Template) -> Iterator[str]:
    """Topics are encrypted with our key."""
    for name, topic in template.of_type("AWS::SNS::Topic"):
        if attribute_of(topic.get("KmsMasterKeyId")) is None:
            yield f"{name}: not encrypted with our key"


@rule
def data_outlives_the_stack(template: Template) -> Iterator[str]:
    """Deleting the stack deletes no table, bucket or key."""
    for name, resource in template.resources.items():
        kept = {"Retain", "RetainExceptOnCreate"}
        policies = {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")}
        if resource["Type"] in KEPT and not policies <= kept:
            yield f"{name}: deleted or replaced with the stack"


@rule
def api_is_signed_and_logs_no_bodies(template: Template) -> Iterator[str]:
    """The API asks for signed requests, is throttled, traces no data, and logs fields of a list."""
    for name, api in template.of_type("AWS::Serverless::Api"):
        if api.get("Auth", {}).get("DefaultAuthorizer") != "AWS_IAM":
            yield f"{name}: not signed"
        for settings in api.get("MethodSettings", [{}]):
            if settings.get("DataTraceEnabled") is not False:
                yield f"{name}: bodies may be traced"
            if "ThrottlingRateLimit" not in settings:
                yield f"{name}: not throttled"
        logged = set(re.findall(r"\$context\.([\w.]+)", str(api.get("AccessLogSetting", {}).get("Format", ""))))
        yield from (f"{name}: logs {field}" for field in sorted(logged - ACCESS_LOG_FIELDS))
        if not logged:
            yield f"{name}: no access log"
    for name, function in template.functions().items():
        for event in function.get("Events", {}).values():
            if event["Type"] == "Api" and "Auth" in event["Properties"]:
                yield f"{name}: a route with its own authorisation"


@rule
def audit_is_append_only(template: Template) -> Iterator[str]:
    """No role may change or delete what the audit table holds."""
    for statement in template.statements():
        rewrites = REWRITES & set(statement.actions)
        on_audit = any(text.split(".")[0].strip("${}") == "AuditTable" for text in named(statement.resources))
        if statement.allows and rewrites and on_audit:
            yield f"{statement}: {', '.join(sorted(rewrites))}"


@rule
def no_rule_feeds_itself(template: Template) -> Iterator[str]:
    """What an event rule starts may not call the service whose events start it."""
    consumers: dict[str, set[str]] = {}
    for name, function in template.functions().items():
        role = template.role_of(function)
        for event in function.get("Events", {}).values():
            queue = attribute_of(event["Properties"].get("Queue"))
            consumers.setdefault(queue or name, set()).add(role or name)
    for name, event_rule in template.of_type("AWS::Events::Rule"):
        started = {
            role for target in event_rule["Targets"] for role in consumers.get(attribute_of(target["Arn"]) or "", ())
        }
        services = {source.removeprefix("aws.") for source in listed(event_rule.get("EventPattern", {}).get("source"))}
        for statement in template.statements():
            calls = {action for action in statement.actions if action.split(":")[0] in services}
            if statement.allows and statement.resource_id in started and calls:
                yield f"{name}: {statement} calls {', '.join(sorted(calls))}"
