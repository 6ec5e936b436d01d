"""Every notebook runs from top to bottom with the embedded model, and says what it claims to say."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(p for p in (ROOT / "notebooks").glob("*.ipynb") if "latent" not in p.name)  # see tests/latent


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cell may assert; ``#> text`` at the end of a cell is text that its output must hold."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("DSPY_CACHEDIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    for cell in notebook.cells:
        for line in cell.source.splitlines():
            if cell.cell_type == "code" and line.startswith("#> "):
                shown = "".join(str(o.get("text", o.get("data", {}).get("text/plain", ""))) for o in cell.outputs)
                assert line[3:].strip() in shown, f"{path.name}: {line[3:]!r} is not in the output:\n{shown}"


def test_there_is_a_first_notebook() -> None:
    assert NOTEBOOKS, "notebooks/ is empty"
