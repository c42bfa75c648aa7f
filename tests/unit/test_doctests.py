"""The examples in the docstrings of the models give exactly what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import models

MODULES = [module.name for module in pkgutil.walk_packages(models.__path__, "models.") if "training" not in module.name]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_exact(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    assert sum(doctest.testmod(importlib.import_module(name)).attempted for name in MODULES) >= 15
