"""No test reaches a network, leaks dspy settings into the next, or reads another run's cache."""

from __future__ import annotations

import copy
import importlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
for _name in [name for name in os.environ if name.endswith("_API_KEY")]:
    del os.environ[_name]  # a forgotten model must fail, not spend

import dspy  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

# No chance without a seed, and no verdict that depends on how busy the machine is.
settings.register_profile("house", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# the module: dspy.dsp.utils re-exports an object of the same name
dspy_settings: Any = importlib.import_module("dspy.dsp.utils.settings")
_LOCAL = ("127.", "::1", "localhost")


_WITH_RIVER = ("rnnprog.cells.river_cell", "rnnprog.cells.river_models", "rnnprog.tasks.sp500")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the examples that need River where its present version does not install."""
    reason = "NOT TESTED: the example needs river 0.26, which needs Python 3.11"
    if sys.version_info < (3, 11):
        for item in items:
            if isinstance(item, pytest.DoctestItem) and item.name.startswith(_WITH_RIVER):
                item.add_marker(pytest.mark.skip(reason=reason))


class NetworkRefused(RuntimeError):
    """A test tried to leave this machine."""


def _is_local(address: Any) -> bool:
    return not isinstance(address, tuple) or str(address[0]).startswith(_LOCAL)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def guarded(name: str) -> None:
        plain = getattr(socket.socket, name)

        def connect(self: socket.socket, address: Any) -> Any:
            if not _is_local(address):
                raise NetworkRefused(f"a test tried to connect to {address!r}; tests only talk to loopback")
            return plain(self, address)

        monkeypatch.setattr(socket.socket, name, connect)

    guarded("connect")
    guarded("connect_ex")


@pytest.fixture(autouse=True)
def _settings_restored() -> Iterator[None]:
    kept = copy.copy(dspy_settings.main_thread_config)
    overrides = dspy_settings.thread_local_overrides.set(type(kept)())
    try:
        yield
    finally:
        dspy_settings.thread_local_overrides.reset(overrides)
        dspy_settings.main_thread_config.clear()
        dspy_settings.main_thread_config.update(kept)
        dspy_settings.config_owner_thread_id = dspy_settings.config_owner_async_task = None


@pytest.fixture(autouse=True, scope="session")
def _cache_apart(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.mktemp("dspy-cache")
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True, disk_cache_dir=str(folder))
