"""Write the tables of flags in docs/reference.md from the programs themselves.

    python .ci/reference.py            # write
    python .ci/reference.py --check    # exit with 1 if the page is not up to date

Each table stands between `<!-- flags: COMMAND -->` and `<!-- end -->`; COMMAND is `app.py`, or what follows
`python -m`.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "reference.md"
BLOCK = re.compile(r"(<!-- flags: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
HOME = re.compile(r"^/.*/thumbtune$")
SHARED = (
    "help",
    "home",
    "parent",
    "output_version",
    "snapshot",
    "dry_run",
    "evaluations",
    "patience",
    "keep_last",
    "memory",
    "report_to",
)
"""Flags of every stage: they have a table of their own."""


class _Captured(Exception):
    """Ends a program at the moment when it would parse its arguments."""


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser that `python -m COMMAND` makes."""
    module, *rest = command.split()
    if module == "alignment":
        from alignment.__main__ import main
    else:
        from feedback_store.__main__ import main  # type: ignore[assignment]
    if rest and rest[0] == "STAGE":
        rest = ["kto"]

    def capture(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Captured(parser)

    parse, argparse.ArgumentParser.parse_known_args = argparse.ArgumentParser.parse_known_args, capture  # type: ignore
    try:
        # `alignment` reads the command's name with a parser of its own, and feedback_store with subparsers.
        if module == "alignment":
            argparse.ArgumentParser.parse_args, usual = (
                _first_alone(parse),
                argparse.ArgumentParser.parse_args,
            )
            try:
                main(rest)
            finally:
                argparse.ArgumentParser.parse_args = usual  # type: ignore[method-assign]
        else:
            main(rest)
    except _Captured as captured:
        parser: argparse.ArgumentParser = captured.args[0]
    finally:
        argparse.ArgumentParser.parse_known_args = parse  # type: ignore[method-assign]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices[rest[0]]  # type: ignore[no-any-return]
    return parser


def flag_rows(command: str) -> Iterator[str]:
    """The table's lines for a command."""
    yield "| Flag | Default | Meaning |"
    yield "|---|---|---|"
    for action in parser_of(command).__dict__["_actions"]:
        of_stages = command.startswith("alignment ") and action.dest in SHARED
        if action.dest == "help" or (
            of_stages and command != "alignment STAGE" and command.split()[1] in stages()
        ):
            continue
        if command == "alignment STAGE" and action.dest not in SHARED:
            continue
        flags = [flag for flag in action.option_strings if flag.startswith("--")][:1] or [action.dest]
        value = f" {action.metavar}" if isinstance(action.metavar, str) and action.option_strings else ""
        meaning = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
        if action.choices:
            meaning += f"{': ' if meaning else ''}{', '.join(f'`{choice}`' for choice in action.choices)}"
        yield f"| `{flags[0]}{value}` | {shown(action.default)} | {cell(meaning)} |"


def setting_rows() -> Iterator[str]:
    """The table's lines for the app."""
    from assistant.settings import Settings

    yield "| Flag | Environment | Default | Meaning |"
    yield "|---|---|---|---|"
    for name, field in Settings.model_fields.items():
        default = {
            "home": "per user; `/data` on Spaces",
            "host": "`127.0.0.1`; `0.0.0.0` on Spaces",
        }.get(name) or shown(field.default)
        flag, variable = f"--{name.replace('_', '-')}", f"THUMBTUNE_{name.upper()}"
        yield f"| `{flag}` | `{variable}` | {default} | {cell(field.description or '')} |"


def stages() -> list[str]:
    """Names of the training stages."""
    from alignment.__main__ import STAGES

    return list(STAGES)


def shown(default: object) -> str:
    """A default as the page shows it."""
    if default is None or default == "" or default is argparse.SUPPRESS or default == []:
        return "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    if HOME.match(str(default)):
        return "per user"
    if isinstance(default, list | tuple):
        return f"`{' '.join(map(str, default))}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def cell(text: str) -> str:
    """Text in one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def written(page: str) -> str:
    """The page with its tables made anew."""

    def table(block: re.Match[str]) -> str:
        rows = setting_rows() if block[2] == "app.py" else flag_rows(block[2])
        return block[1] + "\n".join(rows) + "\n" + block[3]

    return BLOCK.sub(table, page)


def _first_alone(parse: object) -> object:
    """`parse_args` that works as always for the first parser, which only reads the command's name."""

    def parse_args(parser: argparse.ArgumentParser, *arguments: object, **options: object) -> object:
        if any(action.dest == "stage" for action in parser._actions):
            return parse(parser, *arguments, **options)[0]  # type: ignore[operator]
        raise _Captured(parser)

    return parse_args


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    after = written(before)
    if "--check" in sys.argv:
        sys.exit(before != after and "docs/reference.md is not up to date: run python .ci/reference.py")
    PAGE.write_text(after, encoding="utf-8")
