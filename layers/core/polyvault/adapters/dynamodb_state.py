"""Sync configurations and executions in one DynamoDB table.

Table pk ``sync-configuration``, sk the configuration's id; pk ``sync-execution#<configuration>``, sk the execution's
id, gone by TTL ``expires_at`` 90 days after its start. ``document`` is JSON. Writes are conditional where two may meet.
Needs dynamodb:GetItem, PutItem and Query on the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from polyvault.adapters.aws_calls import AwsCalls
from polyvault.adapters.aws_client import FAILURES, error_code
from polyvault.contracts.sync_configuration import decode_sync_configuration, encode_sync_configuration
from polyvault.contracts.sync_execution import decode_sync_execution, encode_sync_execution
from polyvault.domain.sync import UNFINISHED, SyncConfiguration, SyncExecution
from polyvault.errors import HouseholdError
from polyvault.ports import Clock

RETENTION = timedelta(days=90)
_CONFIGURATIONS = "sync-configuration"
_CONDITION_FAILED = "ConditionalCheckFailedException"

type Item = dict[str, dict[str, Any]]


class DynamoDbSyncState:
    """SyncState over one table; HouseholdError when it does not answer. ``client`` comes from `aws_client.client`."""

    def __init__(self, client: Any, *, table: str, calls: AwsCalls, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._table = table
        self._calls = calls

    def put_configuration(self, configuration: SyncConfiguration) -> None:
        document = json.dumps(encode_sync_configuration(configuration))
        now = self._clock.now().isoformat()
        key = _key(_CONFIGURATIONS, configuration.id)
        self._put({**key, "document": {"S": document}, "registered_at": {"S": now}})

    def configuration(self, config_id: str) -> SyncConfiguration | None:
        item = self._get(_CONFIGURATIONS, config_id)
        return _configuration_of(item) if item else None

    def configurations(self) -> tuple[SyncConfiguration, ...]:
        return tuple(_configuration_of(item) for item in self._query(_CONFIGURATIONS))

    def create_execution(self, execution: SyncExecution) -> bool:
        return self._put(_item_of(execution), ConditionExpression="attribute_not_exists(pk)")

    def save_execution(self, execution: SyncExecution) -> None:
        unfinished = {f":s{number}": {"S": status.value} for number, status in enumerate(sorted(UNFINISHED))}
        self._put(
            _item_of(execution),
            ConditionExpression=f"attribute_not_exists(pk) OR #status IN ({', '.join(unfinished)})",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=unfinished,
        )

    def execution(self, config_id: str, execution_id: str) -> SyncExecution | None:
        item = self._get(_executions(config_id), execution_id)
        return decode_sync_execution(item["document"]["S"]) if item else None

    def executions(self, config_id: str) -> tuple[SyncExecution, ...]:
        found = [decode_sync_execution(item["document"]["S"]) for item in self._query(_executions(config_id))]
        return tuple(sorted(found, key=lambda execution: execution.started_at, reverse=True))

    def _put(self, item: Item, **condition: Any) -> bool:
        """False when the condition does not hold."""
        try:
            self._calls(self._client.put_item, TableName=self._table, Item=item, **condition)
        except FAILURES as exc:
            if error_code(exc) == _CONDITION_FAILED:
                return False
            raise _failed("written", exc) from exc
        return True

    def _get(self, pk: str, sk: str) -> Item | None:
        try:
            answer = self._calls(self._client.get_item, TableName=self._table, Key=_key(pk, sk), ConsistentRead=True)
        except FAILURES as exc:
            raise _failed("read", exc) from exc
        item: Item | None = answer.get("Item")
        return item

    def _query(self, pk: str) -> Iterator[Item]:
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "ConsistentRead": True,
        }
        while True:
            try:
                page = self._calls(self._client.query, **arguments)
            except FAILURES as exc:
                raise _failed("read", exc) from exc
            yield from page["Items"]
            if not page.get("LastEvaluatedKey"):
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _executions(config_id: str) -> str:
    return f"sync-execution#{config_id}"


def _configuration_of(item: Item) -> SyncConfiguration:
    registered_at = datetime.fromisoformat(item["registered_at"]["S"])
    return replace(decode_sync_configuration(item["document"]["S"]), registered_at=registered_at)


def _item_of(execution: SyncExecution) -> Item:
    return {
        **_key(_executions(execution.config_id), execution.id),
        "status": {"S": execution.status.value},
        "document": {"S": json.dumps(encode_sync_execution(execution))},
        "expires_at": {"N": str(int((execution.started_at + RETENTION).timestamp()))},
    }


def _failed(what: str, exc: Exception) -> HouseholdError:
    return HouseholdError(f"the state table could not be {what} ({error_code(exc)})")
