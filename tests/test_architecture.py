"""The tree keeps its shape: what lies at the top, and who may import whom."""

import ast
import subprocess
from pathlib import Path

import pytest
from helpers.paths import ROOT

PACKAGES = ("assistant", "alignment", "feedback_store")
FORBIDDEN = {
    "feedback_store": {"assistant", "alignment", "torch", "transformers", "gradio", "trl", "datasets"},
    "assistant": {"alignment", "trl", "datasets"},
    "alignment": {"app", "gradio"},
    "app.py": {"alignment", "trl", "datasets"},
}


def modules(part: str) -> list[Path]:
    path = ROOT / part
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, late imports included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_every_benchmark_imports_modules_of_ours_that_are_there() -> None:
    # They are run by hand, so that a module that moves is else found missing only then.
    for path in modules("benchmarks"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
                there = ROOT.joinpath(*node.module.split("."))
                assert there.is_dir() or there.with_suffix(".py").exists(), f"{path.name}: {node.module}"


@pytest.mark.parametrize("part", FORBIDDEN)
def test_no_room_imports_from_a_room_it_must_not_know(part: str) -> None:
    assert modules(part), f"{part} is empty"
    for path in modules(part):
        assert not imports(path) & FORBIDDEN[part], path


def test_the_version_registry_needs_the_standard_library_only() -> None:
    found = imports(ROOT / "assistant" / "registry" / "versions.py")
    assert "assistant" in found
    assert not found & {
        "torch",
        "transformers",
        "peft",
        "pydantic",
        "pydantic_settings",
        "sqlalchemy",
        "numpy",
    }


def test_nothing_but_the_settings_reads_the_environment() -> None:
    for package in PACKAGES:
        for path in modules(package):
            if path.name != "settings.py":
                assert "os.environ" not in path.read_text(encoding="utf-8"), path
                assert "os.getenv" not in path.read_text(encoding="utf-8"), path


def test_every_tracked_file_is_small_enough_for_plain_git_and_spaces() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert files
    large = [path.name for path in files if path.exists() and path.stat().st_size >= 10_000_000]
    assert large == []


def test_the_top_level_is_the_one_that_the_readme_shows() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    top = {name.split("/")[0] for name in listed.stdout.splitlines()}
    code = {name for name in top if name.endswith(".py") or (ROOT / name).is_dir()} - {
        ".ci",
        "docs",
        "benchmarks",
    }
    assert code == {*PACKAGES, "tests", "app.py"}


def test_nothing_imports_the_starters_makers_but_themselves() -> None:
    for path in [
        *modules("assistant"),
        *modules("feedback_store"),
        *modules("alignment"),
        *modules("app.py"),
    ]:
        if (ROOT / "alignment" / "starter") not in path.parents:
            assert "alignment.starter" not in path.read_text(encoding="utf-8").replace(
                "python -m alignment.starter", ""
            ), path
