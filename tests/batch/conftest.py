"""A cohort of stand-ins in a folder of its own."""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import batch_work
import pytest
from batch_bench import Bench


@pytest.fixture(autouse=True, scope="module")
def _connections_to_killed_schedulers() -> Iterator[None]:
    """Clear away what distributed leaves open when its other end is killed, before other tests are blamed for it.

    For each module: in a folder that is no package, pytest would clear away a package's fixtures with the session.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    """A cohort in a folder of its own; processes find the stand-in for the measurement."""
    calls = tmp_path / "calls"
    for folder in (tmp_path / "source", tmp_path / "out", calls):
        folder.mkdir()
    monkeypatch.setenv(batch_work.CALLS, str(calls))
    monkeypatch.setenv("PYTHONPATH", str(Path(batch_work.__file__).parent))
    return Bench(tmp_path / "source", tmp_path / "out")
