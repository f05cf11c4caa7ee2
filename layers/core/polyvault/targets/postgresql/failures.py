"""What a failed login or statement means, by SQLSTATE and by how far the protocol came. No server's words are read.

libpq keeps the SQLSTATE of a failed login to itself, but traces each protocol message as it is: the trace says whether
TLS was agreed, whether the server asked for a password, and the code of its answer in any language. Only a way to log
in that `require_auth` forbids leaves no trace: libpq's own message, which is never translated here, tells it.
"""

from __future__ import annotations

import re

import psycopg

from polyvault.errors import (
    PostConditionError,
    RotationError,
    TargetPermissionError,
    TargetRefusedValueError,
    TargetRejectedCredentialError,
    TargetTlsError,
    TargetUnavailableError,
)

_SERVER_ERROR = re.compile(r'^B\t\d+\tErrorResponse\t S "[^"]*" (?:V "[A-Z]+" )?C "([0-9A-Z]{5})"', re.MULTILINE)
_PASSWORD_ASKED = re.compile(r"^B\t\d+\tAuthentication(?:SASL|MD5Password)\b", re.MULTILINE)
_AUTHENTICATION = re.compile(r"^B\t\d+\tAuthentication", re.MULTILINE)
_FORBIDDEN_METHOD = "authentication method requirement"

# A lock, a busy or restarting server, a replica, a lost connection, a concurrent change of one role: later may do.
_PASSING = ("08", "40", "53", "57", "58", "XX")
_PASSING_CODES = frozenset({"25006", "55006", "55P03"})


def login_failure(trace: str, message: str, *, tls: bool) -> RotationError:
    """The error for a connection that never came to be. ``tls`` says whether it was to be encrypted."""
    if found := _SERVER_ERROR.search(trace):
        return _refused_login(found[1], asked=bool(_PASSWORD_ASKED.search(trace)), tls=tls)
    if "\tSSLResponse\t" in trace and "\tStartupMessage\t" not in trace:
        return TargetTlsError("TLS with the target failed: certificate, host name or no TLS at all")
    if _AUTHENTICATION.search(trace) or _FORBIDDEN_METHOD in message:
        return PostConditionError("the target asks for no SCRAM or MD5 password, so a login would prove nothing")
    return TargetUnavailableError("the target cannot be reached")


def _refused_login(sqlstate: str, *, asked: bool, tls: bool) -> RotationError:
    if sqlstate.startswith("28"):
        if not asked and not tls:
            return TargetTlsError(f"the target admits no unencrypted login (SQLSTATE {sqlstate})")
        return TargetRejectedCredentialError(f"the target refused the login (SQLSTATE {sqlstate})")
    if sqlstate in {"3D000", "42501"}:
        return PostConditionError(f"the login may not enter the secret's database (SQLSTATE {sqlstate})")
    return TargetUnavailableError(f"the target does not take logins now (SQLSTATE {sqlstate})")


def statement_failure(error: psycopg.Error, act: str) -> RotationError:
    """The error for a statement that was to ``act``. Of the server's answer only the code is told.

    (Its message may quote what we sent.)
    """
    sqlstate = error.sqlstate
    if sqlstate is None or sqlstate.startswith(_PASSING) or sqlstate in _PASSING_CODES:
        return TargetUnavailableError(f"the target could not {act} now (SQLSTATE {sqlstate or 'none'})")
    if sqlstate == "42501":
        return TargetPermissionError(f"the session may not {act} (SQLSTATE 42501)")
    if sqlstate == "22023":
        return TargetRefusedValueError(f"the target refuses to {act} (SQLSTATE 22023)")
    return PostConditionError(f"the target failed to {act} (SQLSTATE {sqlstate})")
