from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_tuning_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(ROOT / "notebooks" / "02_tune.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [
        "".join(str(out.get("text", out.get("data", {}).get("text/plain", ""))) for out in cell.get("outputs", []))
        for cell in notebook.cells
    ]
    assert "True" in outputs[-1]
    going_on = next(i for i, cell in enumerate(notebook.cells) if "again = tuner.compile" in cell.source)
    assert outputs[going_on].strip() == "0"
