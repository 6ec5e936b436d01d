"""The notebook runs from top to bottom and its story holds."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_latent_memory.ipynb"


@pytest.mark.slow
def test_the_notebook_tells_its_story() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(NOTEBOOK.parents[1])}}).execute()
    printed = [
        "".join(output.get("text", "") for output in cell.get("outputs", []))
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    text = "\n".join(printed)
    own, other = (
        [float(found) for found in re.findall(pattern, text)]
        for pattern in (r"own +([\d.]+) %  other", r"other +([\d.]+) %  ")
    )
    published, foreign = (
        float(re.findall(pattern, text)[-1]) for pattern in (r"own bank +([\d.]+) %", r"another one's bank +([\d.]+) %")
    )
    assert foreign > published / 2, "most of the published score is guessing"
    assert len(own) == len(other) == 4
    assert own[1] > own[0] + 5, "a larger ring recalls more"
    assert own[3] > own[2] + 5, "a larger matrix recalls more"
    assert own[1] > 2 * other[1]
    assert own[3] > 2 * other[3]
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
