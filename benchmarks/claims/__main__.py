"""Entry point of `python -m benchmarks.claims`; what it does stands in `command`."""

if __name__ == "__main__":
    try:
        # The imports take seconds, in which Ctrl-C should end the program quietly too.
        from benchmarks.claims.command import main

        main()
    except KeyboardInterrupt:
        raise SystemExit("Stopped before anything was measured.") from None
