"""Training on a CPU with the large pages of memory that Linux keeps for those who ask.

A model's activations are large arrays, taken and given back all the time. In pages of 4 KiB each needs many entries and
many page faults; Linux has pages of 2 MiB beside them ("transparent huge pages"), on most distributions only for
programs that ask. PyTorch asks for none by itself, and the C library asks if a setting says so when the program starts:
https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html (glibc.malloc.hugetlb, glibc 2.35).
"""

import os
import platform
import sys
from pathlib import Path

from assistant.settings import library_variable

VARIABLE = "GLIBC_TUNABLES"
"""Environment variable with the C library's settings. Whoever sets it decides alone, an empty one included."""
TUNABLES = "glibc.malloc.hugetlb=1"
ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
"""The kernel's choice, in brackets: for all memory, for those who ask (madvise), or never."""


def on_glibc() -> bool:
    """Whether memory comes from the GNU C library, as on most Linux systems."""
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def with_huge_pages() -> None:
    """Start this program again with huge pages, if the kernel gives them to those who ask; else return.

    The process stays the same one, with its id, files and terminal.
    """
    if library_variable(VARIABLE) is not None:
        return
    if not on_glibc():
        return
    if sys.orig_argv[len(sys.orig_argv) - len(sys.argv) + 1 :] != sys.argv[1:]:
        return  # Another program runs this one, and would be started in its place.
    try:
        for_those_who_ask = "[madvise]" in ENABLED.read_text(encoding="ascii")
    except OSError:
        return
    if for_those_who_ask:
        os.environ.setdefault(VARIABLE, TUNABLES)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
