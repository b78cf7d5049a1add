"""Entry point of `python -m benchmarks.claims`; what it does stands in `command`."""

import sys

from alignment.huge_pages import with_huge_pages

if __name__ == "__main__":
    with_huge_pages()
    try:
        if "--seed" not in sys.argv:  # A seed is measured by a process that the command starts.
            print("loading the libraries, which takes some seconds …", file=sys.stderr, flush=True)
        # In these seconds Ctrl-C should end the program quietly too.
        from benchmarks.claims.command import main

        main()
    except KeyboardInterrupt:
        raise SystemExit("Stopped before anything was measured.") from None
