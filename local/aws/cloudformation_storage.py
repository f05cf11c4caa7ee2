"""AWS::DynamoDB::Table and AWS::S3::Bucket: TTL, recovery, keys, lifecycle and Object Lock out of the template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from ministack.services import dynamodb, kms, s3
from ministack.services.cloudformation import provisioners

from local.aws.cloudformation import Properties, ResourceError, checked, complete, true


def _complete_table(name: str, properties: Properties) -> None:
    ttl = properties.get("TimeToLiveSpecification")
    if ttl:
        specification = {"Enabled": true(ttl.get("Enabled")), "AttributeName": ttl["AttributeName"]}
        checked(dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": specification}))
    else:
        dynamodb._ttl_settings.pop(name, None)
    recovery = properties.get("PointInTimeRecoverySpecification") or {}
    dynamodb._pitr_settings[name] = true(recovery.get("PointInTimeRecoveryEnabled"))
    dynamodb._tables[name]["SSEDescription"] = _encryption(properties.get("SSESpecification") or {})


def _encryption(specification: Mapping[str, Any]) -> Any:
    """DescribeTable's description of the key, None for the key that AWS owns. A key that does not exist is refused."""
    if not true(specification.get("SSEEnabled")):
        return None
    wanted = specification.get("KMSMasterKeyId")
    key = kms._resolve_key(wanted) if wanted else None
    if wanted and not key:
        raise ResourceError(f"KMS key {wanted} does not exist")
    return dynamodb._sse_description_from_spec(
        {"Enabled": True, "SSEType": specification.get("SSEType"), "KMSMasterKeyId": key["Arn"] if key else None}
    )


# --- S3: each property as the body of the call that sets it -----------------------------------------


def _encryption_xml(configuration: Mapping[str, Any]) -> bytes:
    root = Element("ServerSideEncryptionConfiguration", xmlns=s3.S3_NS)
    for rule in configuration.get("ServerSideEncryptionConfiguration") or []:
        default = rule.get("ServerSideEncryptionByDefault") or {}
        element = SubElement(root, "Rule")
        applied = SubElement(element, "ApplyServerSideEncryptionByDefault")
        SubElement(applied, "SSEAlgorithm").text = default.get("SSEAlgorithm")
        if default.get("KMSMasterKeyID"):
            SubElement(applied, "KMSMasterKeyID").text = default["KMSMasterKeyID"]
        SubElement(element, "BucketKeyEnabled").text = str(true(rule.get("BucketKeyEnabled"))).lower()
    return tostring(root)


# CloudFormation's shorthand beside the lists of the API
_LIFECYCLE_LISTS = {"Transition": "Transitions", "NoncurrentVersionTransition": "NoncurrentVersionTransitions"}
_TRANSITION = {"Days": "TransitionInDays", "Date": "TransitionDate", "StorageClass": "StorageClass"}
_NONCURRENT_TRANSITION = {"NoncurrentDays": "TransitionInDays", "StorageClass": "StorageClass"}


def _lifecycle_xml(configuration: Mapping[str, Any]) -> bytes:
    root = Element("LifecycleConfiguration", xmlns=s3.S3_NS)
    for rule in configuration.get("Rules") or []:
        element = SubElement(root, "Rule")
        if rule.get("Id"):
            SubElement(element, "ID").text = str(rule["Id"])
        SubElement(SubElement(element, "Filter"), "Prefix").text = str(rule.get("Prefix") or "")
        SubElement(element, "Status").text = rule["Status"]
        for tag, names in (("Transition", _TRANSITION), ("NoncurrentVersionTransition", _NONCURRENT_TRANSITION)):
            one = [rule[tag]] if rule.get(tag) else []
            for transition in [*one, *(rule.get(_LIFECYCLE_LISTS[tag]) or [])]:
                _fields(SubElement(element, tag), transition, names)
        expiration = {"Days": "ExpirationInDays", "Date": "ExpirationDate"}
        if rule.get("ExpirationInDays") or rule.get("ExpirationDate"):
            _fields(SubElement(element, "Expiration"), rule, expiration)
        if old := rule.get("NoncurrentVersionExpiration") or _old_days(rule):
            _fields(SubElement(element, "NoncurrentVersionExpiration"), old, _same(old))
        if cut := rule.get("AbortIncompleteMultipartUpload"):
            _fields(SubElement(element, "AbortIncompleteMultipartUpload"), cut, _same(cut))
    return tostring(root)


def _old_days(rule: Mapping[str, Any]) -> Mapping[str, Any] | None:
    days = rule.get("NoncurrentVersionExpirationInDays")
    return {"NoncurrentDays": days} if days else None


def _same(source: Mapping[str, Any]) -> dict[str, str]:
    return {name: name for name in source}


def _fields(parent: Element, source: Mapping[str, Any], names: Mapping[str, str]) -> None:
    for tag, name in names.items():
        if source.get(name) is not None:
            SubElement(parent, tag).text = str(source[name])


def _object_lock_xml(configuration: Mapping[str, Any]) -> bytes:
    root = Element("ObjectLockConfiguration", xmlns=s3.S3_NS)
    SubElement(root, "ObjectLockEnabled").text = "Enabled"
    if rule := configuration.get("Rule"):
        retention = rule["DefaultRetention"]
        _fields(SubElement(SubElement(root, "Rule"), "DefaultRetention"), retention, _same(retention))
    return tostring(root)


def _lock_bucket(name: str, properties: Properties) -> None:
    """Object Lock brings versioning with it; the default retention follows the template, never a weaker one back."""
    if not true(properties.get("ObjectLockEnabled")):
        return
    s3._bucket_versioning[name] = "Enabled"
    checked(s3._put_object_lock_configuration(name, _object_lock_xml(properties.get("ObjectLockConfiguration") or {})))


def _refusing(put: Callable[[str, bytes], Any]) -> Callable[[str, bytes], None]:
    def put_or_fail(name: str, body: bytes) -> None:
        checked(put(name, body))

    return put_or_fail


def install() -> None:
    """Complete tables and buckets that CloudFormation makes."""
    complete("AWS::DynamoDB::Table", _complete_table)
    complete("AWS::S3::Bucket", _lock_bucket)
    provisioners._S3_BUCKET_CONFIGURATIONS = (
        *provisioners._S3_BUCKET_CONFIGURATIONS,
        ("BucketEncryption", _encryption_xml, _refusing(s3._put_bucket_encryption), s3._delete_bucket_encryption),
        ("LifecycleConfiguration", _lifecycle_xml, _refusing(s3._put_bucket_lifecycle), s3._delete_bucket_lifecycle),
    )
