"""What is installed is what was tested: every package is pinned, within the ranges that pyproject.toml allows."""

import re
import tomllib
from importlib.metadata import distribution

import pytest
from helpers.paths import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from assistant import missing_packages

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKED_BY_FILE = {
    name: {
        canonicalize_name(pin[1]): pin[2]
        for pin in re.finditer(
            r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)",
            (ROOT / f"{name}.txt").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    }
    for name in ("requirements", "requirements-gpu", "requirements-train", "requirements-dev")
}
LOCKED = {name: version for pins in LOCKED_BY_FILE.values() for name, version in pins.items()}


def test_every_range_of_the_project_admits_the_version_that_is_pinned() -> None:
    extras = PROJECT["optional-dependencies"].values()
    ranges = [
        Requirement(text)
        for text in [*PROJECT["dependencies"], *(text for group in extras for text in group)]
    ]
    assert len(ranges) > 30
    for wanted in ranges:
        if wanted.name != PROJECT["name"]:
            assert wanted.specifier.contains(LOCKED[canonicalize_name(wanted.name)]), wanted


@pytest.mark.parametrize(
    ("extra", "file"), [(None, "requirements"), ("gpu", "requirements-gpu"), ("train", "requirements-train")]
)
def test_the_project_and_each_extra_need_what_the_file_of_the_same_purpose_names(
    extra: str | None, file: str
) -> None:
    ranges = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    needed = {canonicalize_name(Requirement(text).name) for text in ranges} - {PROJECT["name"]}
    assert needed <= LOCKED_BY_FILE[file].keys()


def test_serving_by_llama_cpp_installs_no_model_library() -> None:
    assert not {*missing_packages.TRAINING, "bitsandbytes"} & LOCKED_BY_FILE["requirements"].keys()
    assert {*missing_packages.ENGINE} <= LOCKED_BY_FILE["requirements-gpu"].keys()
    assert {*missing_packages.TRAINING} <= LOCKED_BY_FILE["requirements-gpu"].keys() | LOCKED_BY_FILE[
        "requirements-train"
    ].keys()


def test_each_direct_pin_is_in_its_lock_file() -> None:
    for name in LOCKED_BY_FILE:
        for line in (ROOT / f"{name}.in").read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-r")):
                pin = Requirement(line)
                assert pin.specifier == f"=={LOCKED[canonicalize_name(pin.name)]}", line


def test_whatever_a_pinned_package_needs_is_pinned_too() -> None:
    missing = {
        f"{name} needs {wanted.name}"
        for name in LOCKED
        for text in distribution(name).requires or []
        if (wanted := Requirement(text)).marker is None or wanted.marker.evaluate({"extra": ""})
        if canonicalize_name(wanted.name) not in LOCKED
    }
    assert not missing, "run .ci/lock.py in an environment with requirements-dev.in alone"


def test_the_tests_run_with_the_pinned_versions() -> None:
    differing = {
        name: (version, installed)
        for name, version in LOCKED.items()
        if (installed := distribution(name).version.partition("+")[0]) != version
    }
    assert not differing, "pip install -r requirements-dev.txt"
