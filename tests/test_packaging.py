"""What is shipped: every folder of code, nothing twice, nothing heavy at import time."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
HEAVY = (
    "datasets",
    "litellm",
    "matplotlib",
    "optuna",
    "pandas",
    "plotly",
    "rank_bm25",
    "river",
    "statsmodels",
    "torch",
)


def _folders() -> set[str]:
    """Return every folder that holds an ``__init__.py``, by the name under which it is imported."""
    found = set()
    for start, name in (
        (ROOT / "rnnprog", "rnnprog"),
        (ROOT / "signatures", "rnnprog.signatures"),
        (ROOT / "optimizers", "rnnprog.optimizers"),
    ):
        for folder, inner, files in os.walk(start):  # does not follow the two links
            inner[:] = [i for i in inner if i != "__pycache__"]
            if "__init__.py" in files:
                rest = Path(folder).relative_to(start).parts
                found.add(".".join((name, *rest)))
    return found


def test_every_folder_of_code_is_in_the_package_list() -> None:
    assert _folders() == set(CONFIG["tool"]["setuptools"]["packages"])


def test_the_wings_are_links_to_the_top_level_folders() -> None:
    for wing in ("signatures", "optimizers"):
        assert os.readlink(ROOT / "rnnprog" / wing) == f"../{wing}"


def test_import_loads_nothing_heavy_and_no_top_level_wing() -> None:
    names = (*HEAVY, "signatures", "optimizers", "rnnprog.latent")
    code = f"import sys, rnnprog; print([m for m in {names!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_export_list_is_complete_and_sorted() -> None:
    import rnnprog

    assert list(rnnprog.__all__) == sorted(
        rnnprog.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    for name in rnnprog.__all__:
        assert getattr(rnnprog, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rnnprog.nothing  # noqa: B018


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    """Built without isolation from a copy, so that no build folder is left behind."""
    copy = tmp_path / "copy"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    if not any(tracked):
        pytest.skip("not a git checkout: the list of shipped files comes from git")
    for name in filter(None, map(os.fsdecode, tracked)):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            target.symlink_to(os.readlink(ROOT / name))
        elif (ROOT / name).is_file():
            target.write_bytes((ROOT / name).read_bytes())
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('dist'))"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (wheel,) = (copy / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"rnnprog"}
    for wanted in (
        "rnnprog/py.typed",
        "rnnprog/signatures/predict.py",
        "rnnprog/report/page/page.html",
        "rnnprog/guard/base.py",
    ):
        assert wanted in names
