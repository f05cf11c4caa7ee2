"""AWS::SecretsManager::*: secrets whose Ref is their ARN, rotation schedules, resource policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import secretsmanager as service
from ministack.services.cloudformation import provisioners

from local.aws.cloudformation import RESOURCES, Created, Properties, ResourceError, checked, true

SECRET = "AWS::SecretsManager::Secret"  # noqa: S105 - a resource type

_create, _update, _delete = (RESOURCES[SECRET][verb] for verb in ("create", "update", "delete"))


# --- Secret: MiniStack knows it by name, CloudFormation by ARN --------------------------------------


def _name_of(physical_id: str) -> str:
    name, _ = service._resolve(physical_id)
    return name or physical_id


def _by_arn(made: Created) -> Created:
    name, attributes = made
    return service._secrets[name]["ARN"], attributes


def create_secret(logical_id: str, properties: Properties, stack: str) -> Created:
    """A new secret; one of that name that exists, deleted or not, is never taken over."""
    name = properties.get("Name")
    if name and name in service._secrets:
        raise ResourceError(f"The operation failed because the secret {name} already exists.")
    made = _by_arn(_create(logical_id, properties, stack))
    if not properties.get("SecretString") and not properties.get("GenerateSecretString"):
        service._resolve(made[0])[1]["Versions"].clear()  # no value, no version
    return made


def update_secret(
    physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str | None = None
) -> Created:
    """In place; a new Name makes a new secret."""
    return _by_arn(_update(_name_of(physical_id), old, new, stack, logical_id))


def delete_secret(physical_id: str, properties: Properties) -> None:
    """At once, as CloudFormation does: the name is free for the next stack."""
    _delete(_name_of(physical_id), properties)


def generated_value(properties: Properties) -> str:
    """SecretString as written, or one made by GetRandomPassword with the template's own rules."""
    wanted = properties.get("GenerateSecretString")
    if not wanted:
        return str(properties.get("SecretString") or "")
    flags = ("ExcludeLowercase", "ExcludeUppercase", "ExcludeNumbers", "ExcludePunctuation", "IncludeSpace")
    rules: dict[str, Any] = {name: true(wanted.get(name)) for name in flags}
    rules["RequireEachIncludedType"] = true(wanted.get("RequireEachIncludedType", True))
    rules["ExcludeCharacters"] = wanted.get("ExcludeCharacters", "")
    rules["PasswordLength"] = int(wanted.get("PasswordLength", 32))
    password = checked(service._get_random_password(rules))["RandomPassword"]
    template, key = wanted.get("SecretStringTemplate"), wanted.get("GenerateStringKey")
    if (template is None) != (key is None):
        raise ResourceError("GenerateStringKey and SecretStringTemplate go together.")
    return json.dumps({**_object(template), key: password}) if template is not None else str(password)


def _object(template: str) -> dict[str, Any]:
    try:
        found = json.loads(template)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ResourceError("SecretStringTemplate must be a JSON object.")
    return found


# --- RotationSchedule -------------------------------------------------------------------------------


def _rotate(properties: Properties) -> Created:
    """A RotateSecret call with the same properties, refused with the service's own message."""
    if properties.get("HostedRotationLambda"):
        raise ResourceError("HostedRotationLambda needs AWS's own rotation templates: name a function instead.")
    secret_id, function_arn = properties["SecretId"], properties.get("RotationLambdaARN")
    for arn in (secret_id, function_arn or ""):
        if arn.startswith("arn:") and arn.split(":")[4] != get_account_id():
            raise ResourceError(f"{arn} is in another account, which is not emulated.")
    request = {
        "SecretId": secret_id,
        "RotationLambdaARN": function_arn,
        "RotationRules": _rules(properties.get("RotationRules") or {}),
        "RotateImmediately": true(properties.get("RotateImmediatelyOnUpdate", True)),
    }
    arn = checked(service._rotate_secret(request))["ARN"]
    return arn, {"Id": arn}


def _rules(rules: Mapping[str, Any]) -> dict[str, Any]:
    days = rules.get("AutomaticallyAfterDays")
    return {**rules, **({"AutomaticallyAfterDays": int(days)} if days is not None else {})}


def create_rotation_schedule(_logical_id: str, properties: Properties, _stack: str) -> Created:
    """Configure, and rotate at once unless RotateImmediatelyOnUpdate is false."""
    return _rotate(properties)


def update_rotation_schedule(physical_id: str, old: Properties, new: Properties, _stack: str) -> Created:
    """The same call again; with another SecretId the schedule moves, and the former secret's rotation is off."""
    made = _rotate(new)
    if old.get("SecretId") != new.get("SecretId"):
        delete_rotation_schedule(physical_id, old)
    return made


def delete_rotation_schedule(physical_id: str, _properties: Properties) -> None:
    """Rotation off; the secret stays. A secret that went first is no error."""
    _, secret = service._resolve(physical_id)
    if secret:
        secret["RotationEnabled"] = False


# --- ResourcePolicy ---------------------------------------------------------------------------------


def put_policy(_logical_id: str, properties: Properties, _stack: str) -> Created:
    """PutResourcePolicy; the document may be an object or text."""
    policy = properties["ResourcePolicy"]
    request = {
        "SecretId": properties["SecretId"],
        "ResourcePolicy": policy if isinstance(policy, str) else json.dumps(policy),
        "BlockPublicPolicy": true(properties.get("BlockPublicPolicy")),
    }
    arn = checked(service._put_resource_policy(request))["ARN"]
    return arn, {"Id": arn}


def update_policy(physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
    """In place; with another SecretId the policy moves."""
    made = put_policy("", new, stack)
    if old["SecretId"] != new["SecretId"]:
        delete_policy(physical_id, old)
    return made


def delete_policy(physical_id: str, _properties: Properties) -> None:
    """The policy goes; a secret that went first is no error."""
    if service._resolve(physical_id)[1]:
        checked(service._delete_resource_policy({"SecretId": physical_id}))


def install() -> None:
    """Complete the secrets that CloudFormation makes."""
    provisioners._sm_secret_string = generated_value
    RESOURCES[SECRET].update(create=create_secret, update=update_secret, delete=delete_secret)
    RESOURCES["AWS::SecretsManager::RotationSchedule"] = {
        "create": create_rotation_schedule,
        "update": update_rotation_schedule,
        "delete": delete_rotation_schedule,
    }
    RESOURCES["AWS::SecretsManager::ResourcePolicy"] = {
        "create": put_policy,
        "update": update_policy,
        "delete": delete_policy,
    }
