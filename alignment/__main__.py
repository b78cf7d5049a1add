"""python -m alignment STAGE …: train, evaluate and release versions."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from alignment.errors import AlignmentError, is_disk_full
from assistant.errors import AssistantError
from assistant.registry.versions import Versions
from assistant.serving.loading import quiet_libraries
from assistant.settings import default_home
from feedback_store import StoreError

STAGES = {
    "pretrain": "next-token prediction on raw text: a base that continues",
    "sft": "supervised fine-tuning on demonstrations: a model that answers",
    "reward": "learn to judge as people do, from preferences and thumbs",
    "dpo": "learn from preferences: of two answers, the better one",
    "kto": "learn from thumbs up and down",
    "rloo": "learn from a reward, with the other answers as baseline",
    "ppo": "answer, be scored by a reward, and do more of what scored well",
}
COMMANDS = {
    "evaluate": "how often a version is right, by kind, language and thinking mode",
    "cycle": "the loop: new feedback, candidates, comparison, gate, release, report",
    "trial": "show, follow, start or stop a live comparison",
    "release": "make a version the served one; a running app follows",
    "rollback": "serve again what was served before",
    "versions": "list the versions of a home",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a stage or a command; its exit code: 0, or 2 after an error in plain words."""
    arguments = sys.argv[1:] if arguments is None else arguments
    width = max(map(len, [*STAGES, *COMMANDS]))
    table = "\n".join(f"  {name:<{width}}  {text}" for name, text in {**STAGES, **COMMANDS}.items())
    parser = argparse.ArgumentParser(
        prog="python -m alignment",
        description=f"Turn feedback into better versions.\n\n{table}\n\nFlags of one: python -m alignment STAGE --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", choices=[*STAGES, *COMMANDS], metavar="STAGE")
    chosen = parser.parse_args(arguments[:1])
    # argparse names the program in its help after this.
    sys.argv[0] = f"alignment {chosen.stage}"
    try:
        _command(chosen.stage)(arguments[1:])
    except (AlignmentError, AssistantError, StoreError) as error:
        print(f"{chosen.stage}: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        if not is_disk_full(error):
            raise
        print(
            f"{chosen.stage}: The disk is full. No version was written, and none that was there has changed. Free some "
            "space (what lies in HOME/training may be deleted, but is what an unfinished run goes on from) and give "
            "the same command again: it goes on from its last whole checkpoint.",
            file=sys.stderr,
        )
        return 2
    return 0


def _command(name: str) -> Callable[[list[str]], object]:
    # Imported late: `--help` and `release` need none of the training libraries.
    if name == "release":
        return _release
    if name == "rollback":
        return _roll_back
    if name == "versions":
        return _list
    if name == "trial":
        from alignment.live import live_run

        return live_run.main
    quiet_libraries()
    if name == "evaluate":
        from alignment.evaluation import evaluate

        return evaluate.main
    if name == "cycle":
        from alignment.cycle import cycle

        return cycle.main
    from alignment.stages import dpo, kto, ppo, pretrain, reward, rloo, sft
    from alignment.training.processes import exit_together, say

    run = {
        "pretrain": pretrain.main,
        "sft": sft.main,
        "reward": reward.main,
        "dpo": dpo.main,
        "kto": kto.main,
        "rloo": rloo.main,
        "ppo": ppo.main,
    }[name]

    def stage(arguments: list[str]) -> None:
        # A dry run writes no version.
        if (version := run(arguments)) is not None:
            say(version)
        exit_together()

    return stage


def _release(arguments: list[str]) -> None:
    parser = _parser("release", "Make a version the served one.")
    parser.add_argument("version", help="for example v2")
    parser.add_argument("--why", default="", help="kept in the history of releases")
    options = parser.parse_args(arguments)
    Versions(options.home).release(options.version, options.why)
    print(options.version)


def _roll_back(arguments: list[str]) -> None:
    parser = _parser("rollback", "Serve again what was served before.")
    parser.add_argument("--why", default="", help="kept in the history of releases")
    options = parser.parse_args(arguments)
    print(Versions(options.home).roll_back(options.why))


def _list(arguments: list[str]) -> None:
    versions = Versions(_parser("versions", "List the versions of a home.").parse_args(arguments).home)
    released = versions.released()
    for version_id in versions.ids():
        manifest = versions.open(version_id).manifest
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
