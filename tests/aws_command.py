"""`aws SERVICE OPERATION --option value` over boto3, for machines without the AWS CLI.

Options become parameters by the CLI's rule: --secret-id is SecretId. Only what the README uses.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import boto3


def main(service: str, operation: str, *words: str) -> None:
    """Run one command; print the answer as JSON, or write a function's payload to the file that is named."""
    options: dict[str, str | bytes] = {}
    plain: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word.startswith("--"):
            value = waiting.pop(0)
            options["".join(part.capitalize() for part in word[2:].split("-"))] = (
                Path(value.removeprefix("fileb://")).read_bytes() if value.startswith("fileb://") else value
            )
        else:
            plain.append(word)
    answer = getattr(boto3.client(service), operation.replace("-", "_"))(**options)  # type: ignore[call-overload]
    if plain:
        Path(plain[0]).write_bytes(answer.pop("Payload").read())
    print(json.dumps(answer, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
