"""python -m alignment STAGE …: train, evaluate and release versions."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from alignment.errors import AlignmentError, is_disk_full, is_out_of_memory
from alignment.event_output import LOG_FORMATS, emit, set_log_format, writes_json
from alignment.huge_pages import with_huge_pages
from assistant.errors import AssistantError, VersionError
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.events.event_error import event_of
from assistant.fast_imports import fast_imports
from assistant.missing_packages import need_training_packages
from assistant.registry.versions import Versions
from assistant.settings import default_home
from feedback_store import StoreError

STAGES = {
    "pretrain": "next-token prediction on raw text: a base that continues",
    "sft": "supervised fine-tuning on demonstrations: a model that answers",
    "correct": "learn people's corrections, and keep the other answers",
    "reward": "learn to judge as people do, from preferences and thumbs",
    "dpo": "learn from preferences: of two answers, the better one",
    "kto": "learn from thumbs up and down",
    "rloo": "learn from a reward, with the other answers as baseline",
    "ppo": "answer, be scored by a reward, and do more of what scored well",
}
COMMANDS = {
    "evaluate": "how often a version is right, by kind, language and thinking mode",
    "cycle": "one round: new feedback, candidates, comparison, gate, release, report",
    "trial": "show, follow, start or stop a live comparison",
    "release": "make a version the served one; a running app follows",
    "rollback": "serve again what was served before",
    "versions": "list the versions of a home",
    "export": "write a version for other programs: PEFT, merged safetensors, GGUF, the Hub",
}

WITH_MODELS = (*STAGES, "evaluate", "cycle")
"""What computes for minutes, so that starting once more for huge pages is worth it."""


def main(arguments: list[str] | None = None) -> int:
    """Run a stage or a command. Returns the exit code: 0, or 2 after an error that was explained."""
    width = max(map(len, [*STAGES, *COMMANDS]))
    table = "\n".join(f"  {name:<{width}}  {text}" for name, text in {**STAGES, **COMMANDS}.items())
    parser = argparse.ArgumentParser(
        prog="python -m alignment",
        description=f"Turn feedback into better versions.\n\n{table}\n\n"
        "Flags of a stage: python -m alignment STAGE --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--log-format",
        choices=LOG_FORMATS,
        default="text",
        help="json: one event a line, errors included, for programs that start this one",
    )
    parser.add_argument("stage", choices=[*STAGES, *COMMANDS], metavar="STAGE")
    parser.add_argument("flags", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if arguments is None and options.stage in WITH_MODELS:
        with_huge_pages()
    set_log_format(options.log_format)
    # argparse takes the program's name in the help of a stage from here.
    sys.argv[0] = f"alignment {options.stage}"
    try:
        with fast_imports():
            command = _command(options.stage)
        command(options.flags)
    except (AlignmentError, AssistantError, StoreError) as error:
        _explain(options.stage, event_of(error))
        return 2
    except Exception as error:
        code = "disk_full" if is_disk_full(error) else "out_of_memory" if is_out_of_memory(error) else None
        if code is None:
            _crashed(error)
            raise
        _explain(options.stage, Event.of(code))
        return 2
    return 0


def _explain(stage: str, event: Event) -> None:
    """Write an error: as an event among the others, or in English to standard error."""
    if writes_json():
        emit(event)
    else:
        print(f"{stage}: {describe(event)}", file=sys.stderr)


def _crashed(error: Exception) -> None:
    # Programs get an event; the traceback follows on standard error.
    if writes_json():
        emit(Event.of("unexpected", kind=type(error).__name__, text=str(error)))


def _print_version(version: str) -> None:
    """Write a version's id, alone on the last line, for scripts."""
    emit(Event.of("version_id", version=version))


def _command(name: str) -> Callable[[list[str]], object]:
    # Imported late: `--help`, `release` and a live comparison, which a running app follows, need no training library.
    if name == "release":
        return _release
    if name == "rollback":
        return _roll_back
    if name == "versions":
        return _list
    if name == "trial":
        from alignment.live import live_run

        return live_run.main
    if name == "export":
        from alignment.export import export

        return export.main
    need_training_packages()
    from assistant.serving.loading import bound_threads, quiet_libraries

    quiet_libraries()
    bound_threads()
    if name == "evaluate":
        from alignment.cycle import evaluate

        return evaluate.main
    if name == "cycle":
        from alignment.cycle import cycle

        return cycle.main
    from accelerate import PartialState

    from alignment.stages import correct, dpo, kto, ppo, pretrain, reward, rloo, sft
    from alignment.training.processes import exit_together

    run = {
        "pretrain": pretrain.main,
        "sft": sft.main,
        "correct": correct.main,
        "reward": reward.main,
        "dpo": dpo.main,
        "kto": kto.main,
        "rloo": rloo.main,
        "ppo": ppo.main,
    }[name]

    def stage(arguments: list[str]) -> None:
        # A dry run writes no version.
        if (version := run(arguments)) is not None and PartialState().is_main_process:
            _print_version(version)
        exit_together()

    return stage


def _release(arguments: list[str]) -> None:
    parser = _parser("release", "Make a version the served one.")
    parser.add_argument("version", help="for example v2")
    parser.add_argument("--why", default="", help="kept in the history of releases")
    options = parser.parse_args(arguments)
    Versions(options.home).release(options.version, options.why)
    _print_version(options.version)


def _roll_back(arguments: list[str]) -> None:
    parser = _parser("rollback", "Serve again what was served before.")
    parser.add_argument("--why", default="", help="kept in the history of releases")
    options = parser.parse_args(arguments)
    _print_version(Versions(options.home).roll_back(options.why))


def _list(arguments: list[str]) -> None:
    versions = Versions(_parser("versions", "List the versions of a home.").parse_args(arguments).home)
    released = versions.released()
    for version_id in versions.ids():
        try:
            manifest = versions.open(version_id).manifest
        except VersionError as error:
            print(f"{version_id:<5} {error}")
            continue
        mark = "released" if version_id == released else ""
        print(
            f"{version_id:<5} {manifest.stage:<9} from {manifest.parent or '-':<5} {manifest.created}  {mark}".rstrip()
        )


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m alignment {name}", description=description)
    parser.add_argument("--home", type=Path, default=default_home(), help="folder of feedback and versions")
    return parser


if __name__ == "__main__":
    sys.exit(main())
