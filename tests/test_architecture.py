"""The tree keeps its shape: what lies at the top, and who may import whom."""

import ast
import subprocess
from functools import cache
from pathlib import Path

import pytest
from helpers.paths import ROOT

from assistant.missing_packages import TRAINING

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


@cache
def nodes(path: Path) -> list[ast.AST]:
    """The nodes of a file's syntax tree, its module first."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, late imports included."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_every_benchmark_imports_modules_of_ours_that_are_there() -> None:
    # They are run by hand, so that a module that moves is else found missing only then.
    for path in modules("benchmarks"):
        for node in nodes(path):
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
                text = path.read_text(encoding="utf-8").replace(
                    "os.environ.setdefault", ""
                )  # that is for libraries
                assert "os.environ" not in text, path
                assert "os.getenv" not in text, path


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


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def import_graph() -> dict[str, set[str]]:
    """For each module of the three packages, the modules of theirs that it imports, late imports included."""
    paths = {module_name(path): path for package in PACKAGES for path in modules(package)}
    graph: dict[str, set[str]] = {name: set() for name in paths}
    for name, path in paths.items():
        for node in nodes(path):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = [target if target in paths else node.module for target in inner]
            else:
                continue
            graph[name] |= {target for target in targets if target in paths and target != name}
    return graph


def test_serving_without_transformers_reaches_no_model_library() -> None:
    graph = import_graph()
    paths = {module_name(path): path for package in PACKAGES for path in modules(package)}
    app = nodes(ROOT / "app.py")
    queue = [node.module for node in app if isinstance(node, ast.ImportFrom) and node.module in graph]
    # The engine on transformers, which is imported after a check of what is installed.
    reached = {"assistant.serving.loading", "assistant.serving.transformers_engine"}
    # A running app follows its live comparison by this command.
    queue.append("alignment.live.live_run")
    while queue:
        name = queue.pop()
        if name not in reached:
            reached.add(name)
            queue += graph[name]
            found = imports(paths[name]) & {*TRAINING, "bitsandbytes", "safetensors"}
            assert not found, f"{name} imports {found}"
    assert {
        "assistant.serving.remote.remote_engine",
        "assistant.serving.llama_cpp.llama_cpp_engine",
    } < reached


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Every set of nodes that reach each other (Tarjan, 1972: strongly connected components)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    components = []

    def visit(node: str) -> None:
        number[node] = lowest[node] = len(number)
        stack.append(node)
        for target in graph.get(node, ()):
            if target not in number:
                visit(target)
                lowest[node] = min(lowest[node], lowest[target])
            elif target in stack:
                lowest[node] = min(lowest[node], number[target])
        if lowest[node] == number[node]:
            index = stack.index(node)
            component = stack[index:]
            del stack[index:]
            if len(component) > 1:
                components.append(sorted(component))

    for node in graph:
        if node not in number:
            visit(node)
    return components


def test_a_cycle_of_imports_is_found() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_no_module_imports_itself_through_others() -> None:
    assert cycles(import_graph()) == []


def test_no_folder_imports_itself_through_others() -> None:
    # A folder with sub-packages holds modules above them (a page) and below them (errors), and a package's `__init__`
    # is its face: each of these stands for itself.
    graph = import_graph()
    split = {module_name(path.parent / "__init__.py") for package in PACKAGES for path in modules(package)}
    split = {name for name in split if any(other.startswith(f"{name}.") for other in split)}

    def folder(name: str) -> str:
        parent = name.rpartition(".")[0]
        return name if parent in split or name in packages else parent + "/"

    packages = {
        module_name(path) for package in PACKAGES for path in modules(package) if path.stem == "__init__"
    }
    folders: dict[str, set[str]] = {}
    for name, targets in graph.items():
        folders.setdefault(folder(name), set()).update(folder(target) for target in targets)
    for name, targets in folders.items():
        targets.discard(name)
    assert cycles(folders) == []


def test_each_public_class_name_and_each_module_name_occurs_once() -> None:
    places: dict[str, list[str]] = {}
    for package in PACKAGES:
        for path in modules(package):
            if path.stem not in ("__init__", "__main__", "errors"):
                places.setdefault(path.stem, []).append(str(path.relative_to(ROOT)))
            for node in nodes(path)[0].body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(f"class {node.name}", []).append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_function_is_longer_than_eighty_lines() -> None:
    longest = {
        f"{path.relative_to(ROOT)}:{node.name}": node.end_lineno - node.lineno + 1
        for part in (*PACKAGES, "benchmarks", "app.py")
        for path in modules(part)
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    }
    assert {name: lines for name, lines in longest.items() if lines > 80} == {}


def test_packages_have_at_most_fourteen_modules() -> None:
    for package in PACKAGES:
        counts: dict[Path, int] = {}
        for path in modules(package):
            counts[path.parent] = counts.get(path.parent, 0) + (path.stem != "__init__")
        assert {str(folder.relative_to(ROOT)): count for folder, count in counts.items() if count > 14} == {}


INTERNAL = {
    # Library: what of it is documented, beside the top level. Anything else belongs in a `*_compat.py`.
    "transformers": {"transformers.utils"},
    "peft": set(),
    "trl": {"trl.rewards"},
    "gradio": {"gradio.themes"},
    "accelerate": {"accelerate.utils"},
}


def test_internals_of_libraries_are_used_in_compat_modules_alone() -> None:
    for package in PACKAGES:
        for path in modules(package):
            if path.stem.endswith("_compat"):
                continue
            for node in nodes(path):
                if isinstance(node, ast.ImportFrom) and node.module and "." in node.module:
                    allowed = INTERNAL.get(node.module.split(".")[0])
                    assert allowed is None or node.module in allowed, (
                        f"{path.relative_to(ROOT)}: {node.module}"
                    )


def test_each_compat_module_has_canaries() -> None:
    tests = [(path.stem, path.read_text(encoding="utf-8")) for path in (ROOT / "tests").rglob("test_*.py")]
    for package in PACKAGES:
        for path in modules(package):
            if path.stem.endswith("_compat"):
                assert any(
                    name == f"test_{path.stem}"
                    or (name == "test_library_internals" and module_name(path) in text)
                    for name, text in tests
                ), path
