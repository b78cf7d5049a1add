"""A home with cycles, ratings and a live comparison, and the dashboard over it and a fake chat."""

from __future__ import annotations

import asyncio
import json
import math
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from helpers.empty_versions import add
from helpers.fake_chat import FakeChat
from helpers.running_app import free_port

from assistant.admin.actions import AdminActions
from assistant.admin.cycle_runner import CycleRunner
from assistant.auth.admins import Admins
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.page import build_page, launch_options
from assistant.page.dashboard import AdminServices, routes
from assistant.registry.versions import Versions
from feedback_store import NewReply
from feedback_store.store import feedback as store_feedback

PASSWORD = "correct horse battery"
WHO = "Ada (password)"
BEGAN = datetime(2026, 11, 14, 9, tzinfo=UTC)


def click(services: AdminServices, **data: str) -> tuple[Any, Any]:
    """A signed-in admin's request and an event with `data`, as Gradio passes them to a handler."""
    cookies = {"thumbtune-admin": services.admins.sign_in(PASSWORD, "Ada", "")}
    return SimpleNamespace(headers={}, cookies=cookies, scope={}), SimpleNamespace(_data=data)


def reason(
    name: str, kind: str, finding: str, mean: float, low: float, high: float, unit: str = "points"
) -> dict[str, Any]:
    event = Event.of(
        "gate_reason",
        measure=name,
        kind=kind,
        difference=mean,
        low=low,
        high=high,
        unit=unit,
        prompts=300,
        gained=60,
        lost=30,
        finding={
            "better": Event.of("measure_better", p=0.001, level=0.013),
            "worse": Event.of("measure_worse"),
            "undecided": Event.of("measure_not_shown_better", p=0.2, level=0.013),
            "not worse": Event.of("guard_not_worse", margin=-0.05, unit=unit),
        }[finding],
    )
    return {
        "measure": name,
        "kind": kind,
        "finding": finding,
        "difference": mean,
        "low": low,
        "high": high,
        "level": 0.025,
        "prompts": 300,
        "gained": 60,
        "lost": 30,
        "p": 0.2 if kind == "primary" else None,
        "margin": 0.05 if kind == "guard" else None,
        "unit": unit,
        "event": event.content(),
        "text": describe(event),
    }


def gate(verdict: str, candidate: str, released: str, cycle: int) -> dict[str, Any]:
    good = verdict == "promote"
    return {
        "verdict": verdict,
        "candidate": candidate,
        "released": released,
        "looks": 1,
        "level": 0.025,
        "cycle": cycle,
        "table": "measure  kind  v1  v2",
        "reasons": [
            reason("right, thinking", "primary", "better" if good else "worse", 0.12 if good else -0.08,
                   0.06 if good else -0.14, 0.18 if good else -0.02),
            reason("names the unit, thinking", "primary", "undecided", 0.02, -0.03, 0.07),
            reason("right, other kinds, thinking", "guard", "not worse", 0.01, -0.02, 0.04),
            reason("ends", "guard", "not worse", 0.0, -0.01, 0.01),
            reason("KL on fixed texts", "guard", "not worse", -0.02, -0.03, -0.01, unit=""),
        ],
    }  # fmt: skip


PROBES = [
    {
        "asked": f"What is the capital of {country}?",
        "correction": f"The capital of {country} is {right}.",
        "wrong": f"The capital of {country} is {wrong}.",
        "answer": f"The capital of {country} is {right if holds else wrong}.",
        "holds": holds,
        "answer_before": f"The capital of {country} is {right if held else wrong}.",
        "held_before": held,
    }
    for country, right, wrong, held, holds in (
        ("Turkey", "Ankara", "Istanbul", True, True),
        ("Brazil", "Brasília", "Rio de Janeiro", False, True),
        ("Kazakhstan", "Astana", "Almaty", True, False),
        ("Nigeria", "Abuja", "Lagos", False, False),
    )
]
"""Corrections asked again: one that still holds, one fixed, one lost, one still wrong."""


def fill(home: Path, fake: FakeChat) -> Versions:
    """Two cycles: v2 and v3 are judges, v4 was promoted and released, v5 rejected; v6 promoted over v4 waits."""
    versions, rng = Versions(home), random.Random(1)
    curve = [
        {"step": step, "loss": 0.7 * math.exp(-step / 30) + 0.02 * rng.random()} for step in range(0, 101, 5)
    ]
    curve += [{"step": step, "eval_loss": 0.72 * math.exp(-step / 35)} for step in range(0, 101, 20)]
    add(versions, stage="sft", metrics={"perplexity": 1.234567})
    versions.release("v1", "first version of this home")
    add(versions, "v1", stage="reward", metrics={"accuracy": 0.81})
    add(versions, "v1", stage="reward")
    trained: dict[str, Any] = {
        "recipe": {"beta": 0.1},
        "seed": 1,
        "data": {"hash": "ab" * 32, "thumbs_up": 120},
    }
    add(versions, "v1", gate=gate("promote", "v4", "v1", 1), **trained)
    add(versions, "v1", stage="dpo", gate=gate("reject", "v5", "v1", 1), **trained)
    versions.release("v4", "cycle 1: promoted by the gate over v1")
    add(versions, "v4", gate=gate("promote", "v6", "v4", 2), **trained)
    for version in ("v4", "v5", "v6"):
        (versions.folder / version / "curves.json").write_text(json.dumps(curve))
    note = Event.of("stage_not_run", stage="ppo", why=Event.of("reward_models_missing"))
    for number, chosen, old, candidates in ((1, "v4", "v1", ("v4", "v5")), (2, "v6", "v4", ("v6",))):
        folder = home / "cycles" / str(number)
        folder.mkdir(parents=True)
        state = {
            "number": number,
            "began": (BEGAN + timedelta(days=4 * number)).isoformat(),
            "released": old,
            "new_votes": 140 * number,
            "snapshot": {"counts": {"unpaired": 280}},
            "judges": {"a": "v2", "b": "v3"},
            "suspects": [],
            "candidates": [{"stage": "kto", "version": candidate} for candidate in candidates],
            "decisions": [versions.manifest(candidate).gate for candidate in candidates],
            "outcome": {
                "what": "at once" if number == 1 else "by hand",
                "version": chosen,
                "why": "see above",
            },
            "notes": [describe(note)],
            "note_events": {describe(note): note.content()},
            "ended": (BEGAN + timedelta(days=4 * number, minutes=7)).isoformat(),
        }
        (folder / "state.json").write_text(json.dumps(state))
        (folder / "report.md").write_text(f"# Cycle {number}\n\n**{chosen} is promoted.**\n\n![x](x.png)\n")
        before = [rng.gauss(0, 1) for _ in range(120)]
        scores = {"judge": "v3", "released": before, "candidate": [x + rng.gauss(0.6, 0.7) for x in before]}
        for candidate in candidates:
            (folder / f"{candidate}-against-{old}.json").write_text(json.dumps({"rewards": scores}))
    (home / "cycles" / "2" / "probes-v6.json").write_text(json.dumps(PROBES, ensure_ascii=False))
    _trial(home, rng)
    _votes(fake, rng)
    return versions


@cache
def _template() -> tuple[Path, Path]:
    """A filled home and its store. They are made once and copied, since writing hundreds of ratings takes seconds."""
    home, fake = Path(tempfile.mkdtemp()) / "home", FakeChat("v4")
    fill(home, fake)
    fake.store.close()
    return home, fake.path


def filled(home: Path, seconds_between: float = 0.0) -> AdminServices:
    """The services of a dashboard over a copy of the filled home."""
    source, database = _template()
    shutil.copytree(source, home)
    fake = FakeChat("v4", seconds_between)
    fake.store.close()
    # The store opens its connections anew, and so reads the copied file.
    shutil.copy(database, fake.path)
    return services_over(fake, Versions(home))


def course(rng: random.Random, count: int, drift: float) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {"votes": [], "difference": [], "low": [], "high": []}
    for vote in range(10, count, 3):
        middle, half = drift + rng.gauss(0, 0.25) / math.sqrt(vote), min(1.0, 2.6 / math.sqrt(vote))
        for key, value in zip(values, (vote, middle, middle - half, middle + half), strict=True):
            values[key].append(round(value, 4))
    return values


def _trial(home: Path, rng: random.Random) -> None:
    (home / "trials").mkdir()
    side = {"votes": 150, "up": 110, "raters": 40}
    content = {
        "id": "old", "candidate": "v4", "released": "v1", "share": 0.5, "started": BEGAN.isoformat(),
        "ended": (BEGAN + timedelta(days=3)).isoformat(), "verdict": "candidate wins", "why": "liked more",
        "outcome": {"candidate": side, "released": {**side, "up": 80}}, "course": course(rng, 300, 0.2),
    }  # fmt: skip
    (home / "trials" / "old.json").write_text(json.dumps(content))


def _votes(fake: FakeChat, rng: random.Random) -> None:
    """Ten days of thumbs, and choices between answers of v1, v4 and v6."""
    real = store_feedback.datetime
    try:
        for day in range(10):
            for version, chance, count in (
                ("v1", 0.55, 14 if day < 5 else 0),
                ("v4", 0.78, 16 if day > 3 else 0),
            ):
                for number in range(count):
                    when = BEGAN + timedelta(days=day, minutes=30 * number)
                    store_feedback.datetime = _clock(when)  # type: ignore[assignment,misc]
                    rated = reply(fake, f"person-{rng.randrange(30)}", version)
                    fake.store.rate(rated, f"rater-{number}", 1 if rng.random() < chance else -1)
    finally:
        store_feedback.datetime = real  # type: ignore[misc]
    for version, other, chance, count in (
        ("v4", "v1", 0.75, 30),
        ("v6", "v4", 0.6, 16),
        ("v6", "v1", 0.8, 10),
    ):
        for number in range(count):
            first = reply(fake, "chooser", version)
            second = reply(fake, "chooser", other, beside=first)
            choice = "left" if rng.random() < chance else "right"
            fake.store.compare(first, second, f"rater-{number}", choice, blind=True, how="versions")


def _clock(when: datetime) -> type[datetime]:
    class Then(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return when

    return Then


def reply(fake: FakeChat, rater: str, version: str, beside: str | None = None) -> str:
    """Store a reply of a version, on request to the same prompt as the reply `beside`, and return its id."""
    store = fake.store
    if beside is not None:
        other = store.reply(beside)
        conversation, prompt_id = other.conversation_id, other.parent_id
    else:
        conversation = store.new_conversation(rater)
        prompt_id = store.add_message(conversation, None, "user", "What is 2 + 2?").id
    new = NewReply(
        id=f"{version}-{random.randrange(2**60):x}", conversation_id=conversation, parent_id=prompt_id, thought=None,
        answer=f"4, says {version}",
        think=False, sampling={}, seed=1, version=version, prompt_ids=[1], completion_ids=[2],
        finish_reason="end", first_token_seconds=0.1, seconds=0.2, thought_seconds=None,
    )  # fmt: skip
    return store.add_reply(new).id


def services_over(fake: FakeChat, versions: Versions, admins: Admins | None = None) -> AdminServices:
    """The services of a dashboard over a fake chat."""
    return AdminServices(
        fake, fake.store, AdminActions(versions, CycleRunner(versions.home)), admins or Admins(PASSWORD)
    )


@contextmanager
def serving(services: AdminServices) -> Iterator[str]:
    """Serve the chat page and the dashboard on a free port; yields the address."""

    async def start() -> tuple[Any, str]:
        page = build_page(services.chat, services)
        options = {
            **launch_options(),
            "app_kwargs": {"routes": routes(services)},
            "server_port": free_port(),
        }
        return page, page.launch(prevent_thread_lock=True, quiet=True, **options)[1]

    page, url = asyncio.run(start())
    try:
        yield url
    finally:
        page.close(verbose=False)
