"""Nothing that comes from outside can become code: no pickle, no YAML, no eval, anywhere in the product."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("models", "connectors", "streams", "infra", "experiments", "sdk", "benchmarks")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml", "jsonpickle"}
CALLS = {"eval", "exec", "compile", "__import__"}


def unsafe(source: str) -> list[str]:
    """What a module uses that could run what it reads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            found.append(node.func.id)
        elif isinstance(node, ast.Call) and _loads_any_object(node):
            found.append(ast.unparse(node))
    return found


def _loads_any_object(call: ast.Call) -> bool:
    """``torch.load`` without ``weights_only=True``, or ``numpy.load`` with ``allow_pickle=True``."""
    given = {word.arg: ast.unparse(word.value) for word in call.keywords}
    name = ast.unparse(call.func)
    return (name == "torch.load" and given.get("weights_only") != "True") or given.get("allow_pickle") == "True"


def test_no_module_can_run_what_it_reads() -> None:
    assert len(FILES) > 200
    found = {str(path.relative_to(ROOT)): unsafe(path.read_text(encoding="utf-8")) for path in FILES}
    assert {name: uses for name, uses in found.items() if uses} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import yaml.loader",
        "eval('1')",
        "torch.load('x')",
        "torch.load('x', weights_only=False)",
        "np.load('x', allow_pickle=True)",
    ],
)
def test_what_could_is_found(source: str) -> None:
    assert unsafe(source)


def test_what_could_not_is_left_alone() -> None:
    assert (
        unsafe("import json\njson.loads('1')\nmodel.eval()\ntorch.load('x', weights_only=True)\nre.compile('x')") == []
    )
