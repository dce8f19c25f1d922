"""How the tests run against mutants: quickest first, properties by a few fixed examples, nothing shrunk.

A pytest plugin; `[tool.mutmut]` in pyproject.toml names it. mutmut starts pytest once per mutant, in a fork of itself:
what is saved here is saved some thousand times.
The run that measures coverage takes it, too: a branch that is only reached by luck is not covered.
"""

from __future__ import annotations

import gc
import math

import pytest
from hypothesis import Phase, settings
from mutmut.state import state

settings.register_profile(
    "mutants",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
)
_ASKED = pytest.StashKey[frozenset[str]]()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Load the profile after tests/conftest.py has loaded its own, and look up tests by file: mutmut names each one."""
    settings.load_profile("mutants")
    gc.freeze()  # what the fork inherited is not looked through again, so it is not copied either
    config.stash[_ASKED] = frozenset(config.args)
    config.args[:] = dict.fromkeys(name.partition("::")[0] for name in config.args)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what mutmut has asked for, the quickest first."""
    asked, took_s = config.stash[_ASKED], state().duration_by_test
    if any("::" in name for name in asked):
        items[:] = [item for item in items if item.nodeid in asked]
    items.sort(key=lambda item: took_s.get(item.nodeid, math.inf))
