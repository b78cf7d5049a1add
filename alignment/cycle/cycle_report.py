"""What a cycle found and did, for people (report.md) and for programs (report.json), in HOME/cycles/N."""

import json
from pathlib import Path
from typing import Any

from alignment.cycle.cycle_state import Journal
from alignment.evaluation import comparison_report
from alignment.evaluation.comparison import VersionComparison
from assistant.registry.versions import write_atomically


def write(mine: Journal) -> Path:
    """Write both; the path of the one for people."""
    path = mine.folder / "report.md"
    write_atomically(path, markdown(mine))
    write_atomically(mine.folder / "report.json", json.dumps(mine.state, ensure_ascii=False, indent=1) + "\n")
    return path


def write_comparison(folder: Path, found: VersionComparison) -> None:
    """Every value of a comparison as JSON, and its plot."""
    name = f"{found.candidate.version}-against-{found.released.version}"
    write_atomically(
        folder / f"{name}.json",
        json.dumps(comparison_report.content(found), ensure_ascii=False, indent=1) + "\n",
    )
    comparison_report.plot(found, folder / f"{name}.png")


def plain(content: dict[str, Any]) -> dict[str, Any]:
    """`content` as it comes back from JSON."""
    found: dict[str, Any] = json.loads(json.dumps(content))
    return found


def outcome(mine: Journal) -> str:
    """What came of it, in a sentence."""
    found = mine.state["outcome"]
    version, why = found.get("version", ""), found.get("why", "")
    words = {
        "nothing": f"nothing was released: {why}",
        "at once": f"{version} is released",
        "trial": f"{version} serves a share of conversations, and people's thumbs decide",
        "by hand": f"{version} is promoted and waits: {why}",
    }
    return f"cycle {mine.number}: {words[found['what']]}"


def markdown(mine: Journal) -> str:
    """The report."""
    state = mine.state
    counts = ", ".join(f"{count} {kind}" for kind, count in state["snapshot"]["counts"].items())
    lines = [
        f"# Cycle {mine.number}",
        "",
        f"**{outcome(mine)}.**",
        "",
        f"Began {state['began']}, released then: {state['released']}. New votes: {state.get('new_votes', '?')}. "
        f"Snapshot {state['snapshot']['id'][:12]}: {counts}.",
        "",
    ]
    left_out = [
        f"{count} {kind} by {rule}"
        for kind, rules in state["snapshot"]["left_out"].items()
        for rule, count in rules.items()
    ]
    if left_out:
        lines += [f"Left out by the rules: {', '.join(left_out)}.", ""]
    lines += ["## Raters who stand out", ""]
    lines += [
        f"- `{_code(one['rater'])}`: {one['what']}: {_code(one['text'])}" for one in state["suspects"]
    ] or ["Nobody."]
    if state["judges"]:
        made = ", ".join(f"{version} (half {split})" for split, version in state["judges"].items())
        lines += ["", f"Reward models: {made}."]
    for one in state["decisions"]:
        stage = next(c["stage"] for c in state["candidates"] if c["version"] == one["candidate"])
        lines += ["", f"## {one['candidate']}, by {stage}: {one['verdict']}", ""]
        lines += [
            comparison_report.markdown(one["table"]),
            "",
            f"Look {one['looks']} at {one['released']}:",
            "",
        ]
        lines += [f"- {reason['text']}" for reason in one["reasons"]]
        lines += ["", f"![The differences]({one['candidate']}-against-{one['released']}.png)"]
    if state.get("notes"):
        lines += ["", "## What was not done", "", *(f"- {note}" for note in state["notes"])]
    seconds = state.get("seconds", {})
    lines += ["", f"Seconds: {', '.join(f'{name} {value}' for name, value in seconds.items())}.", ""]
    return "\n".join(lines)


def _code(text: str) -> str:
    # A rater's name is data, not Markdown.
    return text.replace("`", "'").replace("\n", " ")
