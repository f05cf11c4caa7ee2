"""CloudFormation resources that MiniStack refuses or makes by half, completed through the services' own calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services.cloudformation import provisioners

Properties = Mapping[str, Any]
Created = tuple[str, dict[str, Any]]

RESOURCES: dict[str, dict[str, Any]] = provisioners._RESOURCE_HANDLERS


class ResourceError(ValueError):
    """The resource cannot be made; CloudFormation shows the message and rolls the stack back."""


def true(value: Any) -> bool:
    """Templates carry booleans as booleans or as text."""
    return str(value).lower() == "true"


def checked(answer: tuple[int, dict[str, str], Any]) -> Any:
    """The decoded answer of a service's own call; ResourceError when it refused."""
    status, _, body = answer
    text = body.decode() if isinstance(body, bytes) else str(body)
    if status >= 300:
        raise ResourceError(_reason(text))
    return json.loads(text) if text.startswith(("{", "[")) else text


def _reason(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return str(found.get("message") or found.get("Message") or text)


def complete(resource_type: str, completion: Callable[[str, Properties], None]) -> None:
    """After MiniStack made or changed a resource of this type, run ``completion(physical id, properties)``."""
    handlers = RESOURCES[resource_type]
    create, update = handlers["create"], handlers["update"]

    def create_whole(logical_id: str, properties: Properties, stack: str) -> Created:
        made: Created = create(logical_id, properties, stack)
        completion(made[0], properties)
        return made

    def update_whole(physical_id: str, old: Properties, new: Properties, stack: str, *logical_id: str) -> Created:
        made: Created = update(physical_id, old, new, stack, *logical_id)
        completion(made[0], new)
        return made

    handlers["create"], handlers["update"] = create_whole, update_whole


def install() -> None:
    """Complete MiniStack's provisioners; call once."""
    from local.aws import cloudformation_apis, cloudformation_functions, cloudformation_secrets, cloudformation_storage

    cloudformation_secrets.install()
    cloudformation_storage.install()
    cloudformation_functions.install()
    cloudformation_apis.install()
