"""A caller of the bundle's REST API: requests signed with Signature Version 4, as IAM authorisation asks."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class ApiError(Exception):
    """The API answered with an error status."""


class Api:
    """Signs with the given keys; answers are decoded JSON."""

    def __init__(self, url: str, *, access_key: str, secret_key: str, region: str) -> None:
        self._url = url.rstrip("/")
        self._signer = SigV4Auth(Credentials(access_key, secret_key), "execute-api", region)

    def get(self, path: str, **query: str | int) -> Any:
        """GET path; raises ApiError when the status is 400 or more."""
        return self._call("GET", path + (f"?{urlencode(query, quote_via=quote)}" if query else ""), None)

    def post(self, path: str, body: Mapping[str, Any], **headers: str) -> Any:
        """POST a JSON body; raises ApiError when the status is 400 or more."""
        return self._call("POST", path, body, headers)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """PUT a JSON body; raises ApiError when the status is 400 or more."""
        return self._call("PUT", path, body)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str] = {}) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = AWSRequest(
            method=method, url=self._url + path, data=data, headers={"Content-Type": "application/json", **headers}
        )
        self._signer.add_auth(request)
        signed = urllib.request.Request(  # noqa: S310 - the URL is the stack's own output
            self._url + path, data=data, headers=dict(request.headers.items()), method=method
        )
        try:
            with urllib.request.urlopen(signed, timeout=35) as answer:  # noqa: S310  # nosec B310
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                said = error.read()[:300].decode(errors="replace")
            raise ApiError(f"{method} {path}: {error.code} {said}") from None
