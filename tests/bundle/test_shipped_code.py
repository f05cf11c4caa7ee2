"""What we ship imports where it will run, is the code that was written, and is the same when built again."""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

from tests.bundle.conftest import Bundle
from tests.bundle.sam_template import PROJECT, TEMPLATE, Template, read
from tools import build_layer

FUNCTIONS = sorted(Template(read(TEMPLATE.read_text())).functions())
LAYERS = sorted(name for name, _ in Template(read(TEMPLATE.read_text())).of_type("AWS::Serverless::LayerVersion"))
UNCHECKED_HASH = 1  # PEP 552: a hash, and nobody compares it
MEGABYTE = 1_000_000
LIMIT_UNPACKED = 250 * MEGABYTE


def bare_python(code: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Run code as Lambda does: nothing on the path but what is shipped, nothing in the environment."""
    paths_first = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}; sys.dont_write_bytecode = True\n"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", paths_first + code],
        env={"HOME": os.devnull, "PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_imports_from_its_own_layers_alone(bundle: Bundle, function: str) -> None:
    folder = bundle.function(function)
    assert sorted(path.name for path in folder.iterdir()) == ["app.py"]
    done = bare_python(
        "import app; assert callable(app.lambda_handler); print(sorted(name for name in sys.modules))",
        folder,
        *(bundle.layer(layer) for layer in bundle.functions[function]),
    )
    assert done.returncode == 0, done.stderr
    for sdk in ("hvac", "azure", "google"):
        assert f"'{sdk}'" not in done.stdout, f"{function} imports {sdk} before a store asks for it"


def test_each_module_imports_from_the_layers(bundle: Bundle) -> None:
    """Whole package, all layers: no module needs what no layer ships."""
    core = bundle.layer("CoreLayer")
    modules = sorted(
        ".".join(path.relative_to(core).with_suffix("").parts).removesuffix(".__init__")
        for path in (core / "polyvault").rglob("*.py")
    )
    assert len(modules) > 20
    code = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)"
    done = bare_python(code, *bundle.layers.values())
    assert done.returncode == 0, done.stderr


def test_a_layer_that_is_off_is_not_needed(bundle: Bundle) -> None:
    """An AWS-only installation: the functions that may carry foreign SDKs import without them."""
    for function in ("SyncFunction", "ApiFunction", "RotationWorkerFunction"):
        done = bare_python("import app", bundle.function(function), bundle.layer("CoreLayer"))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_and_its_layers_fit_lambda(bundle: Bundle, function: str) -> None:
    folders = [bundle.function(function), *(bundle.layer(layer) for layer in bundle.functions[function])]
    size = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    assert size < LIMIT_UNPACKED, f"{size / MEGABYTE:.0f} MB"


@pytest.mark.parametrize("layer", LAYERS)
def test_the_bytecode_is_that_of_the_source(bundle: Bundle, layer: str) -> None:
    """Lambda runs the bytecode and never looks at the source: they may not differ, and none may lack its source."""
    root = bundle.layer(layer)
    sources = sorted(root.rglob("*.py"))
    for source in sources:
        assert_compiled(source, root)
    compiled = {Path(importlib.util.cache_from_source(str(source))) for source in sources}
    assert set(root.rglob("*.pyc")) == compiled


def assert_compiled(source: Path, root: Path) -> None:
    """The cached bytecode of ``source`` is unchecked, and equal to what its source compiles to."""
    cached = Path(importlib.util.cache_from_source(str(source))).read_bytes()
    assert cached[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(cached[4:8], "little") == UNCHECKED_HASH, f"{source}: not an unchecked hash"
    assert cached[8:16] == importlib.util.source_hash(source.read_bytes()), f"{source}: changed since it was compiled"
    shipped = marshal.loads(cached[16:])  # noqa: S302 - what our own build wrote
    name = f"{build_layer.MOUNT}/{source.relative_to(root)}"
    assert shipped == compile(source.read_bytes(), name, "exec", dont_inherit=True), f"{source}: other code"
    assert {code.co_filename for code in codes(shipped)} == {name}


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def test_poisoned_bytecode_is_seen(tmp_path: Path) -> None:
    """The comparison above sees bytecode that does something else, though its hash is the source's."""
    source = tmp_path / "module.py"
    source.write_text("allowed = False\n")
    build_layer.compile_tree(tmp_path, tmp_path)
    assert_compiled(source, tmp_path)
    cached = Path(importlib.util.cache_from_source(str(source)))
    other = compile("allowed = True\n", f"{build_layer.MOUNT}/module.py", "exec")
    cached.write_bytes(cached.read_bytes()[:16] + marshal.dumps(other))
    with pytest.raises(AssertionError, match="other code"):
        assert_compiled(source, tmp_path)


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_ships_that_no_function_reads(bundle: Bundle, layer: str) -> None:
    for path in bundle.layer(layer).rglob("*"):
        relative = path.relative_to(bundle.root)
        assert path.name not in {"tests", "bin", "RECORD", "direct_url.json", ".env", ".git"}, relative
        assert path.suffix not in {".key", ".sh", ".exe", ".tmp"}, relative
        if path.suffix == ".pem":
            assert b"PRIVATE KEY" not in path.read_bytes(), relative
        if path.is_file():
            assert str(PROJECT).encode() not in path.read_bytes(), f"{relative} names a folder of this machine"


@pytest.mark.parametrize("layer", ["core", "targets"])
def test_building_twice_gives_the_same_zip(bundle: Bundle, layer: str, tmp_path: Path) -> None:
    """From the lock to the zip twice, in two folders, under two umasks: one digest, which is also the bundle's."""
    digests = {build_layer.archive(bundle.layer(f"{layer.title()}Layer").parent, tmp_path / "shipped.zip")}
    for number, umask in enumerate((0o022, 0o077)):
        target = tmp_path / ("nested/" * number) / "out"
        before = os.umask(umask)
        try:
            build_layer.build(layer, target, "x86_64", kept=tmp_path / f"kept{number}")
        finally:
            os.umask(before)
        digests.add(build_layer.archive(target, tmp_path / f"{number}.zip"))
    assert len(digests) == 1


@pytest.mark.parametrize(("architecture", "machine"), [("x86_64", 62), ("arm64", 183)])
def test_the_layer_is_for_the_machine_that_was_asked_for(architecture: str, machine: int, tmp_path: Path) -> None:
    build_layer.build("targets", tmp_path, architecture)
    libraries = [path for path in tmp_path.rglob("*.so*") if path.is_file()]
    assert libraries
    for library in libraries:
        assert int.from_bytes(library.read_bytes()[18:20], "little") == machine, library.name  # e_machine of ELF


def test_the_builder_refuses_another_runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    with pytest.raises(build_layer.BuildError, match=r"the layers are for Python 3\.13"):
        build_layer.build("core", tmp_path, "x86_64")


def test_a_wheel_that_is_not_the_locked_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    layer = tmp_path / "layers/core"
    layer.mkdir(parents=True)
    (layer / "requirements.txt").write_text("six==1.17.0 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(build_layer, "PROJECT", tmp_path)
    with pytest.raises(build_layer.BuildError, match="HASH"):
        build_layer.build("core", tmp_path / "out", "x86_64")
    assert not list((tmp_path / "build/layers").iterdir()), "nothing half-built is kept"


def test_the_code_asks_for_no_service_whose_model_was_left_out(bundle: Bundle) -> None:
    """boto3's models are trimmed: a new client needs its service in AWS_SERVICES."""
    asked = set()
    for source in (PROJECT / "layers/core/polyvault").rglob("*.py"):
        asked |= set(re.findall(r"\bclient\(\s*\"([a-z0-9-]+)\"", source.read_text()))
    assert asked, "the pattern finds the clients"
    assert asked <= build_layer.AWS_SERVICES
    data = bundle.layer("CoreLayer") / "botocore/data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == build_layer.AWS_SERVICES


def test_metadata_of_the_distributions_stays(bundle: Bundle) -> None:
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    for name, layer in bundle.layers.items():
        found = json.loads(bare_python(code, layer).stdout)
        versions = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found.items()}
        assert versions == locked_versions(name)


def locked_versions(layer: str) -> dict[str, str]:
    """Distributions and versions in a layer's lock."""
    lock = PROJECT / "layers" / layer.removesuffix("Layer").lower() / "requirements.txt"
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)", lock.read_text(), re.MULTILINE))


_DESCRIBE_CLIENTS = """
import json
import boto3

def shape(model):
    members = getattr(model, "members", {})
    return [model.type_name, sorted(members), sorted(getattr(model, "required_members", []))]

found = {}
for service in json.loads(SERVICES):
    for region in ("us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1"):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        client = boto3.client(service, region_name=region, **keys)
        found[service + region] = [client.meta.endpoint_url, client._client_config.signature_version]
    model = client.meta.service_model
    for name in model.operation_names:
        operation = model.operation_model(name)
        found[service + name] = [shape(each) for each in (operation.input_shape, operation.output_shape) if each]
    found[service + "pages"] = [name for name in client.meta.method_to_api_mapping if client.can_paginate(name)]
print(json.dumps(found, sort_keys=True))
"""


def test_slim_models_make_the_same_clients(bundle: Bundle) -> None:
    """Same addresses in each partition, same signatures, operations and fields as with boto3's whole data."""
    code = f"SERVICES = {json.dumps(sorted(build_layer.AWS_SERVICES))!r}\n{_DESCRIBE_CLIENTS}"
    slim = bare_python(code, bundle.layer("CoreLayer"))
    whole = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert slim.returncode == 0, slim.stderr
    assert json.loads(slim.stdout) == json.loads(whole.stdout)
