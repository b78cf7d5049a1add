"""Imports without collections: what stays is kept out of later ones, and only where a program begins."""

import subprocess
import sys

import pytest

BEGINS = """
import gc
from assistant.fast_imports import fast_imports
with fast_imports():
    assert not gc.isenabled()
    import decimal
assert gc.isenabled()
print(gc.get_freeze_count())
"""


def run(code: str) -> int:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_what_is_imported_is_kept_out_of_collections() -> None:
    assert run(BEGINS) > 1000


@pytest.mark.parametrize("library", ["torch", "gradio"])
def test_a_program_that_goes_on_is_left_alone(library: str) -> None:
    there = f"import sys; sys.modules['{library}'] = sys\n"
    assert run(there + BEGINS.replace("assert not gc", "assert gc")) == 0


def test_collections_begin_again_after_an_import_that_fails() -> None:
    failing = """
import gc
from assistant.fast_imports import fast_imports
try:
    with fast_imports():
        import there_is_no_such_module
except ImportError:
    print(int(gc.isenabled()))
"""
    assert run(failing) == 1
