"""Python functions run as Lambda runs them: by AWS's own runtime client, with nothing of ours within reach.

An execution environment is one process of `awslambdaric` fed by a Runtime API of its own. It sees the function's
code, the function's layers and Lambda's variables with the credentials of the function's role; not the launcher's
environment, not its packages. A handler's exception keeps its class, so that a Step Functions `Catch` by name
matches. MiniStack's pool leases, reaps and, after an update, discards environments; every way to invoke a function
(API, queue, rule, rotation) goes through it.
"""

from __future__ import annotations

import atexit
import json
import queue
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local.aws.lambda_code import unpacked
from local.aws.lambda_log import LogPipe
from local.aws.runtime_api import Invocation, Outcome, RuntimeApi
from local.aws.settings import settings

INIT_SECONDS = 10.0
RESPONSE_LIMIT = 6 * 1024 * 1024
_POLL_SECONDS = 0.05
_MINISTACK_PRIVATE = lambda_svc._RESERVED_RUNTIME_ENV_VARS

Config = Mapping[str, Any]


class ExecutionEnvironment:
    """One process for one function; used by one invocation at a time.

    Stands in for MiniStack's `Worker`: its pool reads ``config``, ``in_use``, ``last_used``, ``_proc``, ``_lock``
    and calls ``invoke``, ``kill``, ``_spawn`` and ``_discard_tmpdir``.
    """

    def __init__(self, func_name: str, config: Config, code_zip: bytes) -> None:
        self.func_name = func_name
        self.config = config
        self.code_zip = code_zip
        self.in_use = False
        self.last_used = time.time()
        self._lock = threading.Lock()
        self._cold = True
        self._proc: subprocess.Popen[bytes] | None = None
        self._api: RuntimeApi | None = None
        self._log: LogPipe | None = None

    def invoke(
        self,
        event: Any,
        request_id: str,
        *,
        trace_id: str | None = None,
        invoked_function_arn: str | None = None,
        **_unsupported: Any,
    ) -> dict[str, Any]:
        """Run one event; a handler's failure is a result with the runtime's own error document, never a raise."""
        with self._lock:
            timeout = float(self.config.get("Timeout", 3))
            if self._proc is None or self._proc.poll() is not None:
                self._spawn()
                failure = self._await_init(request_id, INIT_SECONDS + timeout)
                if failure:
                    return self._failed(failure, end=True)
            assert self._api  # noqa: S101 - _spawn sets it
            self._api.offer(
                Invocation(
                    request_id=request_id,
                    event=json.dumps(event).encode(),
                    deadline_ms=int((time.time() + timeout) * 1000),
                    function_arn=invoked_function_arn or self.config["FunctionArn"],
                    trace_id=trace_id or "Root=1-00000000-000000000000000000000000;Sampled=0",
                )
            )
            return self._await_outcome(request_id, timeout)

    def kill(self) -> None:
        """End the process now."""
        lambda_runtime.kill_workers([self])

    def _spawn(self) -> None:
        self._discard_tmpdir()
        python = settings().python_for(self.config["Runtime"])
        if python is None:
            raise RuntimeError(f"no interpreter for {self.config['Runtime']}: name one in MINISTACK_PYTHONS")
        code = unpacked([self.code_zip])
        layers = [archive for layer in self.config.get("Layers") or () if (archive := _layer(layer))]
        opt = unpacked(layers) if layers else None
        self._api = RuntimeApi()
        self._proc = subprocess.Popen(  # noqa: S603 - the interpreter is the launcher's setting
            # -S: no site-packages of the interpreter; -B: /var/task and /opt are read-only on Lambda
            [python, "-S", "-B", "-m", "awslambdaric", self.config["Handler"].replace("/", ".")],
            cwd=code,
            env=environment(self.config, code, opt, self._api.address),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._log = LogPipe(self._proc.stdout)

    def _await_init(self, request_id: str, seconds: float) -> dict[str, Any] | None:
        """None when the handler is imported, else the error document."""
        assert self._api  # noqa: S101
        assert self._proc  # noqa: S101
        deadline = time.monotonic() + seconds
        while not self._api.ready.wait(_POLL_SECONDS):
            exited = self._proc.poll() is not None
            if posted := _next(self._api.outcomes, 0.2 if exited else 0):
                return _document(posted)
            if exited:
                return _exit_error(request_id, self._proc)
            if time.monotonic() > deadline:
                return _timeout_error(request_id, self.config.get("Timeout", 3))
        self._cold = False
        return None

    def _await_outcome(self, request_id: str, timeout: float) -> dict[str, Any]:
        assert self._api  # noqa: S101
        assert self._proc  # noqa: S101
        deadline = time.monotonic() + timeout
        while True:
            exited = self._proc.poll() is not None
            outcome = _next(self._api.outcomes, min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))
            if outcome and outcome.request_id in {request_id, ""}:  # an init error has none
                return self._finished(outcome)
            if exited:
                return self._failed(_exit_error(request_id, self._proc), end=True)
            if time.monotonic() >= deadline:
                return self._failed(_timeout_error(request_id, self.config.get("Timeout", 3)), end=True)

    def _finished(self, outcome: Outcome) -> dict[str, Any]:
        if outcome.kind != "response":
            return self._failed(_document(outcome))
        if len(outcome.body) > RESPONSE_LIMIT:
            message = f"Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes)."
            return self._failed({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message})
        result = json.loads(outcome.body) if outcome.body else None
        return {"status": "ok", "result": result, "log": self._log_text()}

    def _failed(self, document: dict[str, Any], *, end: bool = False) -> dict[str, Any]:
        if end:
            self.kill()
        log = self._log_text()
        if end:
            log = "\n".join(filter(None, [log, document.get("errorMessage", "")]))
        return {"status": "error", "error": document.get("errorMessage", ""), "error_payload": document, "log": log}

    def _log_text(self) -> str:
        return self._log.drain() if self._log else ""

    def _discard_tmpdir(self) -> None:
        """What is left once the process is gone; the unpacked code is shared and stays."""
        if self._api:
            self._api.close()
            self._api = None


def environment(config: Config, code: Path, opt: Path | None, runtime_api: str) -> dict[str, str]:
    """What the process of a function sees: Lambda's variables and the configured ones, nothing of the launcher's."""
    _, _, _, region, _, _, name, *_ = config["FunctionArn"].split(":")
    layers = [str(opt / "python" / "lib" / "python3.13" / "site-packages"), str(opt / "python")] if opt else []
    version, logging = config.get("Version", "$LATEST"), config.get("LoggingConfig") or {}
    configured = (config.get("Environment") or {}).get("Variables") or {}
    return {
        "AWS_ENDPOINT_URL": settings().endpoint_url,  # a function may name another
        **{key: value for key, value in configured.items() if key not in _MINISTACK_PRIVATE},
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        **{key: value for key, value in lambda_runtime.execution_credentials(dict(config)).items() if value},
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_FUNCTION_VERSION": version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d')}/[{version}]{uuid.uuid4().hex}",
        "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text"),
        **({"AWS_LAMBDA_LOG_LEVEL": logging["ApplicationLogLevel"]} if logging.get("ApplicationLogLevel") else {}),
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "LAMBDA_TASK_ROOT": str(code),
        "LAMBDA_RUNTIME_DIR": str(settings().runtime_dir),
        "_HANDLER": config["Handler"],
        "HOME": "/nonexistent",  # libraries would read the developer's own ~/.aws and ~/.pgpass
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        **({"LD_LIBRARY_PATH": str(opt / "lib")} if opt else {}),
        "PYTHONPATH": ":".join([str(code), *layers, str(settings().runtime_dir)]),
    }


def execute(func: Mapping[str, Any], event: Any, request_id: str) -> dict[str, Any]:
    """MiniStack's executor for warm functions: lease an environment, run, give it back."""
    config = func.get("config") or func
    if not str(config.get("Runtime", "")).startswith("python") or not func.get("code_zip"):
        result: dict[str, Any] = _execute_other(func, event, request_id)
        return result
    leased = _lease(config, func["code_zip"])
    if leased is None:
        throttled: dict[str, Any] = lambda_svc._throttle_response(
            reason_code="ConcurrentInvocationLimitExceeded", msg="Rate Exceeded."
        )
        return throttled
    try:
        trace_id = lambda_svc._xray_trace_id_for_invocation(config)
        outcome = leased.invoke(event, request_id, trace_id=trace_id, invoked_function_arn=config["FunctionArn"])
    except (RuntimeError, OSError, ValueError) as problem:  # the launcher could not run it: no interpreter, bad zip
        document = {"errorType": "Runtime.InvalidEntrypoint", "errorMessage": str(problem)}
        outcome = {"status": "error", "error_payload": document, "log": str(problem)}
    finally:
        lambda_runtime.release_worker(leased)
    if outcome["status"] == "ok":
        return {"body": outcome["result"], "log": outcome["log"]}
    return {"body": outcome["error_payload"], "error": True, "function_error": "Unhandled", "log": outcome["log"]}


def _lease(config: Config, code_zip: bytes) -> ExecutionEnvironment | None:
    """A free environment; past the cap wait for one, at most as long as a call may take (a chain of calls to
    itself must not wait for ever)."""
    deadline = time.monotonic() + float(config.get("Timeout", 3))
    while True:
        leased: ExecutionEnvironment | None
        leased, _ = lambda_runtime.acquire_worker(
            config["FunctionName"],
            config,
            code_zip,
            qualifier=config.get("Version", "$LATEST"),
            max_concurrency=settings().environments_per_function,
        )
        if leased is not None or time.monotonic() > deadline:
            return leased
        time.sleep(_POLL_SECONDS / 5)


def _layer(attachment: Any) -> bytes | None:
    archive: bytes | None = lambda_svc._resolve_layer_zip(attachment)
    return archive


def _next(outcomes: queue.Queue[Outcome], seconds: float) -> Outcome | None:
    try:
        return outcomes.get(timeout=seconds) if seconds else outcomes.get_nowait()
    except queue.Empty:
        return None


def _document(outcome: Outcome) -> dict[str, Any]:
    try:
        document = json.loads(outcome.body)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    return {"errorType": "Runtime.Unknown", "errorMessage": outcome.body.decode(errors="replace")[:500]}


def _timeout_error(request_id: str, seconds: float) -> dict[str, Any]:
    message = f"RequestId: {request_id} Error: Task timed out after {float(seconds):.2f} seconds"
    return {"errorType": "Sandbox.Timedout", "errorMessage": message}


def _exit_error(request_id: str, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    code = process.poll() or 0
    how = f"signal: {-code}" if code < 0 else f"exit status {code}"
    message = f"RequestId: {request_id} Error: Runtime exited with error: {how}"
    return {"errorType": "Runtime.ExitError", "errorMessage": message}


_execute_other: Callable[..., dict[str, Any]] = lambda_svc._execute_function_warm
_other_worker_class: Callable[[Config], type] = lambda_runtime._worker_class_for


def _worker_class(config: Config) -> type:
    is_python = str(config.get("Runtime", "")).startswith("python")
    return ExecutionEnvironment if is_python else _other_worker_class(config)


def install() -> None:
    """Make every Python function run in an ExecutionEnvironment; their processes end with the launcher."""
    lambda_svc._execute_function_warm = execute
    lambda_runtime._worker_class_for = _worker_class
    lambda_svc._ensure_reaper_thread()
    atexit.register(lambda_runtime.reset)
