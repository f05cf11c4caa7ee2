"""Report files in one S3 bucket. Needs s3:PutObject on it; the bucket encrypts by its own rule."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from polyvault.adapters.aws_calls import AwsCalls
from polyvault.adapters.aws_client import FAILURES, error_code
from polyvault.errors import ReportError


class S3ReportArchive:
    """ReportArchive: a file is put under its key whole, with its SHA-256 for S3 to check, or ReportError."""

    def __init__(self, client: Any, *, bucket: str, calls: AwsCalls) -> None:
        self._client = client
        self._bucket = bucket
        self._calls = calls

    def put(self, key: str, body: bytes, *, content_type: str) -> str:
        """Put the file; the same key twice leaves the later body. Answers ``s3://bucket/key``."""
        try:
            self._calls(
                self._client.put_object,
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode(),
            )
        except FAILURES as exc:
            raise ReportError(f"{key} could not be written ({error_code(exc)})") from exc
        return f"s3://{self._bucket}/{key}"
