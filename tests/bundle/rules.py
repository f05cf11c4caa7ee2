"""What our template must obey beyond cfn-lint. A rule answers what it found, each with the resource's name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.bundle.sam_template import Statement, Template, attribute_of, listed, named

type Rule = Callable[[Template], Iterator[str]]

# Actions that have no resource to name, so that "*" is all that IAM accepts for them.
WITHOUT_RESOURCE = {
    "secretsmanager:ListSecrets",
    "secretsmanager:GetRandomPassword",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
}
# AWS's own policies that a role may carry: each is the narrowest that its service accepts.
MANAGED_POLICIES = {"AWSLambdaENIManagementAccess", "AmazonAPIGatewayPushToCloudWatchLogs"}
SECRET_NAME = re.compile(r"pass(word|wd|phrase)?|secret|token|credential|private|api_?key", re.IGNORECASE)
NAME_OF_SOMETHING = re.compile(r"_(ARNS?|NAME|PARAMETER|TABLE|URL|PREFIX)$")
ACCESS_LOG_FIELDS = {
    "requestId",
    "requestTime",
    "httpMethod",
    "resourcePath",
    "status",
    "responseLength",
    "responseLatency",
    "identity.sourceIp",
    "identity.userArn",
}
MOST_LAYERS = 5
RULES: list[Rule] = []


def into(collection: list[Rule]) -> Callable[[Rule], Rule]:
    """Register a rule in a collection; its docstring is what it demands."""

    def register(check: Rule) -> Rule:
        collection.append(check)
        return check

    return register


rule = into(RULES)


@rule
def no_wildcard_action(template: Template) -> Iterator[str]:
    """No policy allows an action by wildcard."""
    for statement in template.statements():
        for action in statement.actions:
            if statement.allows and "*" in action:
                yield f"{statement}: {action}"


@rule
def no_wildcard_resource(template: Template) -> Iterator[str]:
    """An identity's policy allows "*" only for actions that have no resource to name."""
    for statement in template.statements():
        if statement.allows and _is_wide(statement) and not set(statement.actions) <= WITHOUT_RESOURCE:
            yield f"{statement}: {', '.join(sorted(set(statement.actions) - WITHOUT_RESOURCE))}"


def _is_wide(statement: Statement) -> bool:
    # In a key's own policy "*" is that key: CloudFormation has no other way to name it.
    wide = any(text.split(":", 5)[-1] == "*" for text in named(statement.resources))
    return wide and statement.resource_type != "AWS::KMS::Key"


@rule
def no_policy_by_exception(template: Template) -> Iterator[str]:
    """No NotAction, NotResource or NotPrincipal: they allow whatever AWS adds tomorrow."""
    for statement in template.statements():
        yield from (f"{statement}: {key}" for key in statement.body if key.startswith("Not"))


@rule
def no_policy_for_everybody(template: Template) -> Iterator[str]:
    """A resource's policy allows no "*", and a service only on the account's or one resource's behalf."""
    for statement in template.statements():
        for principal in statement.principals if statement.allows else ():
            if principal == "*":
                yield f"{statement}: allows everybody"
            elif "amazonaws.com" in str(principal) and not _on_behalf_of_one(statement):
                yield f"{statement}: {principal} may act for anybody"


def _on_behalf_of_one(statement: Statement) -> bool:
    if statement.actions == ["sts:AssumeRole"]:
        return True  # a role's trust: own_role looks at it
    if is_event_delivery(statement):
        return True
    return named_condition(statement, "aws:SourceAccount", "aws:SourceArn", "kms:EncryptionContext")


def is_event_delivery(statement: Statement) -> bool:
    """EventBridge's use of a key to deliver, which comes without source account or ARN: a condition would stop it.

    Whose events may come is said by the policies of the queue and the topic. (SNS Developer Guide, key management.)
    """
    delivery = {"kms:Decrypt", "kms:GenerateDataKey"}
    return list(statement.principals) == ["events.amazonaws.com"] and set(statement.actions) <= delivery


def named_condition(statement: Statement, *prefixes: str) -> bool:
    """Whether a condition of the statement looks at one of these keys."""
    keys = [key for operator in statement.body.get("Condition", {}).values() for key in operator]
    return any(key.startswith(prefixes) for key in keys)


@rule
def own_role(template: Template) -> Iterator[str]:
    """Each function has a role of its own, which only Lambda may take on."""
    owners: dict[str, str] = {}
    for name, function in template.functions().items():
        role = template.role_of(function)
        if role is None or template.resources.get(role, {}).get("Type") != "AWS::IAM::Role":
            yield f"{name}: no role in this template"
        elif role in owners:
            yield f"{name}: shares {role} with {owners[role]}"
        else:
            owners[role] = name
            trusted = named(template.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"])
            if {each for each in trusted if each.endswith(".amazonaws.com")} != {"lambda.amazonaws.com"}:
                yield f"{name}: {role} may be taken on by others than Lambda"


@rule
def no_managed_policy(template: Template) -> Iterator[str]:
    """A role carries no policy that somebody else writes, but for a short list."""
    for name, role in template.of_type("AWS::IAM::Role"):
        for arn in named(role.get("ManagedPolicyArns", [])):
            if ":policy/" in arn and arn.rsplit("/", 1)[1] not in MANAGED_POLICIES:
                yield f"{name}: {arn.rsplit('/', 1)[1]}"
    for name, function in template.functions().items():
        if "Policies" in function:
            yield f"{name}: Policies, where SAM would make a role that it widens by itself"


@rule
def no_secret_in_the_environment(template: Template) -> Iterator[str]:
    """A variable holds names and ARNs: no secret, no dynamic reference to one, no hidden parameter."""
    hidden = {name for name, body in template.document.get("Parameters", {}).items() if body.get("NoEcho")}
    for name, function in template.functions().items():
        for variable, value in function.get("Environment", {}).get("Variables", {}).items():
            texts = named(value)
            if SECRET_NAME.search(variable) and not NAME_OF_SOMETHING.search(variable):
                yield f"{name}: {variable} is named like a secret"
            elif texts & hidden or any("resolve:s" in text for text in texts):
                yield f"{name}: {variable} takes a secret's value"


@rule
def log_kept_and_encrypted(template: Template) -> Iterator[str]:
    """Each function writes to a log group of the template, with retention and our key."""
    for name, function in template.functions().items():
        group = template.resources.get(attribute_of(function.get("LoggingConfig", {}).get("LogGroup")) or "", {})
        properties = group.get("Properties", {})
        if not {"RetentionInDays", "KmsKeyId"} <= set(properties):
            yield f"{name}: its log group has no retention or no key"


@rule
def alarms(template: Template) -> Iterator[str]:
    """Errors and throttles of each function, and each queue's dead letters, raise an alarm that reaches a topic."""
    heard = {
        (str(alarm["MetricName"]), logical_id)
        for _, alarm in template.of_type("AWS::CloudWatch::Alarm")
        if alarm.get("AlarmActions")
        for dimension in alarm.get("Dimensions", [])
        if (logical_id := attribute_of(dimension["Value"]))
    }
    for name in template.functions():
        for metric in ("Errors", "Throttles"):
            if (metric, name) not in heard:
                yield f"{name}: no alarm on {metric}"
    for name in _dead_letter_queues(template):
        if ("ApproximateNumberOfMessagesVisible", name) not in heard:
            yield f"{name}: no alarm on dead letters"


def _dead_letter_queues(template: Template) -> set[str]:
    found = set()
    for _, queue in template.of_type("AWS::SQS::Queue"):
        found.add(attribute_of(queue.get("RedrivePolicy", {}).get("deadLetterTargetArn")))
    for function in template.functions().values():
        failures = function.get("EventInvokeConfig", {}).get("DestinationConfig", {}).get("OnFailure", {})
        found.add(attribute_of(failures.get("Destination")))
    return {each for each in found if each}


@rule
def nothing_is_lost(template: Template) -> Iterator[str]:
    """What a function could not handle goes to a queue: a dead-letter queue or an on-failure destination."""
    for name, function in template.functions().items():
        on_failure = function.get("EventInvokeConfig", {}).get("DestinationConfig", {}).get("OnFailure")
        events = function.get("Events", {}).values()
        queues = [attribute_of(each["Properties"]["Queue"]) for each in events if each["Type"] == "SQS"]
        redriven = queues and all("RedrivePolicy" in _queue(template, queue) for queue in queues)
        if not on_failure and not redriven:
            yield f"{name}: no dead-letter queue and no on-failure destination"
        for event in events:
            if event["Type"] == "Schedule" and "DeadLetterConfig" not in event["Properties"]:
                yield f"{name}: a schedule without a dead-letter queue"


def _queue(template: Template, name: str | None) -> dict[str, Any]:
    properties: dict[str, Any] = template.resources.get(name or "", {}).get("Properties", {})
    return properties


@rule
def queues(template: Template) -> Iterator[str]:
    """Queues use our key; what feeds a function hides a message six times its timeout and takes partial answers."""
    for name, queue in template.of_type("AWS::SQS::Queue"):
        if attribute_of(queue.get("KmsMasterKeyId")) is None:
            yield f"{name}: not encrypted with our key"
    for name, function in template.functions().items():
        for event in function.get("Events", {}).values():
            if event["Type"] == "SQS":
                queue = _queue(template, attribute_of(event["Properties"]["Queue"]))
                if queue.get("VisibilityTimeout", 30) < 6 * function.get("Timeout", 3):
                    yield f"{name}: its queue shows a message again while it may still be handled"
                if listed(event["Properties"].get("FunctionResponseTypes")) != ["ReportBatchItemFailures"]:
                    yield f"{name}: one bad message returns its whole batch"


@rule
def tracing_without_contents(template: Template) -> Iterator[str]:
    """A traced function hands X-Ray neither answers nor errors."""
    for name, function in template.functions().items():
        variables = function.get("Environment", {}).get("Variables", {})
        for variable in ("POWERTOOLS_TRACER_CAPTURE_RESPONSE", "POWERTOOLS_TRACER_CAPTURE_ERROR"):
            if function.get("Tracing") == "Active" and variables.get(variable) != "false":
                yield f"{name}: {variable} is not false"


@rule
def rotation_is_called_by_its_account_alone(template: Template) -> Iterator[str]:
    """Secrets Manager may call the rotation function, on behalf of this account; nobody else by permission."""
    called = set()
    for name, permission in template.of_type("AWS::Lambda::Permission"):
        if permission.get("SourceAccount") != {"Ref": "AWS::AccountId"} and "SourceArn" not in permission:
            yield f"{name}: {permission.get('Principal')} may call for any account"
        if permission.get("Principal") == "secretsmanager.amazonaws.com":
            called.add(attribute_of(permission.get("FunctionName")))
    if "RotationFunction" in template.functions() and "RotationFunction" not in called:
        yield "RotationFunction: Secrets Manager may not call it"


@rule
def layers(template: Template) -> Iterator[str]:
    """Lambda takes five layers a function."""
    for name, function in template.functions().items():
        if len(function.get("Layers", [])) > MOST_LAYERS:
            yield f"{name}: {len(function['Layers'])} layers"
