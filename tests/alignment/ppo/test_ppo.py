"""PPO as a whole: what moves, what is learned, what ends it, and what the stage writes."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.tiny_home import tiny_home
from helpers.tiny_ppo import QUESTIONS, TOKENIZER, quick, starts_high, tiny_ppo
from safetensors.torch import load_file

from alignment.__main__ import main
from alignment.data import prompts as prompt_data
from alignment.data.prompts import RolloutPrompt
from alignment.ppo import run_state
from alignment.ppo.run_progress import early_stop, is_falling
from alignment.ppo.trainer import PPO
from alignment.scoring import reward_functions
from alignment.scoring.reward_functions import Source
from alignment.stages.ppo import PPORecipe
from assistant.registry.versions import Versions
from assistant.serving import prompt
from assistant.serving.loading import load_for_serving
from feedback_store.hashing import sha256_file


def tiny_recipe(**changes: Any) -> PPORecipe:
    settings = {
        "updates": 20,
        "batch_size": 64,
        "max_new_tokens": 1,
        "missing_end_penalty": 0.0,
        "learning_rate": 0.01,
    }
    return PPORecipe(**{**settings, **changes})


def shares_high(ppo: PPO) -> torch.Tensor:
    """Probability that an answer starts high, for each question, exactly."""
    prompts = [prompt.render(TOKENIZER, item.messages, item.think) for item in QUESTIONS]
    with torch.no_grad():
        logits = [ppo.shared.model(torch.tensor([ids])).logits[0, -1] for ids in prompts]
    return torch.softmax(torch.stack(logits), dim=-1)[:, 2048:].sum(dim=1)


def test_training_reaches_the_known_optimum_of_a_reward_with_a_kl_penalty() -> None:
    ppo = tiny_ppo(
        tiny_recipe(kl_coef=0.5, updates=16, minibatches=2, micro_batch_size=64), Source("high", starts_high)
    )
    before = shares_high(ppo)
    for number in range(16):
        ppo.update(prompt_data.drawn(QUESTIONS, number, 64, seed=1))
    # The optimum is the reference times exp(reward / coefficient), as in a bandit with two arms.
    good = before * torch.tensor(1 / 0.5).exp()
    optimum = good / (good + 1 - before)
    assert float((optimum - before).mean()) > 0.3
    assert float((shares_high(ppo) - optimum).abs().mean()) < 0.05
    last = ppo.history[-1]
    assert last["kl"] > 0
    assert last["kl"] == pytest.approx(last["kl_k3"], abs=0.3)
    assert 0 <= last["clip_fraction"] < 0.5


def test_only_the_adapter_moves_and_the_first_ratio_is_one() -> None:
    ppo = tiny_ppo(tiny_recipe(epochs=1, minibatches=1, batch_size=8), Source("high", starts_high))
    before = {name: weight.clone() for name, weight in ppo.shared.model.state_dict().items()}
    metrics = ppo.update(QUESTIONS[:8])
    moved = {
        name
        for name, weight in ppo.shared.model.state_dict().items()
        if not torch.equal(weight, before[name])
    }
    assert moved and all("lora_" in name and ".default." in name for name in moved)
    assert metrics["clip_fraction"] == 0.0
    assert metrics["kl"] == pytest.approx(0.0, abs=1e-4)


def test_micro_batches_change_nothing_but_memory() -> None:
    small, large = (
        tiny_ppo(
            tiny_recipe(max_new_tokens=5, batch_size=8, micro_batch_size=size), Source("high", starts_high)
        )
        for size in (2, 16)
    )
    small.update(QUESTIONS[:8])
    large.update(QUESTIONS[:8])
    for name, weight in small.policy.items():
        assert torch.allclose(weight, large.policy[name], atol=1e-4), name


def test_an_update_works_where_products_are_in_bfloat16_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    ppo = tiny_ppo(tiny_recipe(), Source("starts_high", starts_high))
    monkeypatch.setattr(ppo, "_precision", lambda: torch.autocast("cpu", torch.bfloat16))
    metrics = ppo.update(QUESTIONS)
    assert abs(metrics["kl"]) < 0.1
    assert all(bool(weight.isfinite().all()) for weight in ppo.policy.values())


def test_a_killed_run_is_continued_to_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    def run() -> PPO:
        return tiny_ppo(
            tiny_recipe(updates=4, batch_size=8, max_new_tokens=4, target_kl=1.0), Source("high", starts_high)
        )

    whole, killed, resumed = run(), run(), run()
    for number in range(4):
        whole.update(prompt_data.drawn(QUESTIONS, number, 8, seed=1))
    whole.evaluate(QUESTIONS[:4])
    for number in range(3):
        if number == 2:
            run_state.save(killed, tmp_path)
        killed.update(prompt_data.drawn(QUESTIONS, number, 8, seed=1))
    assert run_state.load(resumed, tmp_path)
    assert resumed.done == 2
    for number in range(2, 4):
        resumed.update(prompt_data.drawn(QUESTIONS, number, 8, seed=1))
    resumed.evaluate(QUESTIONS[:4])
    assert all(torch.equal(weight, resumed.policy[name]) for name, weight in whole.policy.items())
    assert json.dumps(resumed.history) == json.dumps(whole.history)
    assert [path.name for path in tmp_path.iterdir()] == [run_state.STATE]


def test_training_uses_the_prompt_as_served_and_the_completion_as_drawn() -> None:
    ppo = tiny_ppo(tiny_recipe(max_new_tokens=6), Source("high", starts_high))
    for item, answer in zip(QUESTIONS, ppo.answer(QUESTIONS, "test"), strict=True):
        assert answer.prompt_ids == prompt.render(TOKENIZER, item.messages, item.think)
        assert 1 <= len(answer.completion_ids) <= 6
        assert answer.ended == (answer.completion_ids[-1] == TOKENIZER.eos_token_id)
    again = ppo.answer(QUESTIONS, "test")
    assert [answer.completion_ids for answer in again] == [
        answer.completion_ids for answer in ppo.answer(QUESTIONS, "test")
    ]
    assert [answer.completion_ids for answer in again] != [
        answer.completion_ids for answer in ppo.answer(QUESTIONS, "else")
    ]


def test_a_watching_reward_that_falls_while_the_score_rises_is_over_optimisation() -> None:
    rising, falling = [0.1 * n for n in range(16)], [2 - 0.1 * n for n in range(16)]
    assert reward_functions.over_optimised(rising, falling, window=8)
    assert not reward_functions.over_optimised(rising, rising, window=8)
    assert not reward_functions.over_optimised(rising[:15], falling[:15], window=8)
    assert not reward_functions.over_optimised(rising, [0.5 + 0.1 * (-1) ** n for n in range(16)], window=8)
    ppo = tiny_ppo(
        tiny_recipe(watch_window=8), Source("high", starts_high), watch=Source("watch", starts_high)
    )
    ppo.history = [{"score": a, "watch": b} for a, b in zip(rising, falling, strict=True)]
    run: Any = SimpleNamespace(patience=3)
    assert "Over-optimisation" in early_stop(ppo, run)
    ppo.history = [{"score": a, "watch": a} for a in rising]
    assert early_stop(ppo, run) == ""


def test_training_ends_with_the_best_weights_when_held_out_scores_keep_falling() -> None:
    ppo = tiny_ppo(tiny_recipe(batch_size=8), Source("high", starts_high))
    ppo.evaluate(QUESTIONS[:8])
    best = {name: weight.detach().clone() for name, weight in ppo.policy.items()}
    ppo.update(QUESTIONS[:8])
    score = ppo.history[0]["eval_score"]
    ppo.history += [{"eval_score": score - 1, "eval_error": 0.1} for _ in range(3)]
    assert is_falling(ppo, 3) and not is_falling(ppo, 4) and not is_falling(ppo, 0)
    ppo.restore_best()
    assert all(torch.equal(weight, best[name]) for name, weight in ppo.policy.items())


def test_only_the_adapter_moves_and_a_killed_stage_is_continued(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--reward_functions", "helpers.tiny_ppo:evens")
    base = sha256_file(tiny_home(home) / "tiny" / "model.safetensors")
    assert main(quick(home, *flags)) == 0
    out = capsys.readouterr().out.splitlines()
    assert "loss: PPO" in out[0] and "optimiser: AdamW" in out[0]
    assert out[-1] == "v2"
    version = Versions(home).open("v2")
    manifest = version.manifest
    assert (manifest.parent, manifest.stage, manifest.seed) == ("v1", "ppo", 1)
    assert manifest.metrics["updates"] == 2
    assert {
        "kl",
        "kl_k3",
        "entropy",
        "clip_fraction",
        "explained_variance",
        "ended",
        "length",
        "score",
    } <= set(manifest.metrics)
    steps = json.loads((version.folder / "curves.json").read_text(encoding="utf-8"))
    assert [entry["step"] for entry in steps if "score" in entry] == [1, 2]
    first, second = (
        load_file(Versions(home).open(v).folder / "adapter_model.safetensors") for v in ("v1", "v2")
    )
    assert first.keys() == second.keys()
    assert any(not torch.equal(first[name], second[name]) for name in first)
    assert sha256_file(home / "tiny" / "model.safetensors") == base
    assert load_for_serving(version, home).window > 0

    update = PPO.update

    def killed(self: PPO, questions: list[RolloutPrompt]) -> dict[str, float]:
        if self.done == 1:
            raise KeyboardInterrupt
        return update(self, questions)

    other = tiny_home(tmp_path / "other")
    with monkeypatch.context() as patched:
        patched.setattr(PPO, "update", killed)
        with pytest.raises(KeyboardInterrupt):
            main(quick(other, *flags))
    assert Versions(other).ids() == ["v1"]
    assert main(quick(other, *flags)) == 0
    resumed = load_file(Versions(other).open("v2").folder / "adapter_model.safetensors")
    assert all(torch.equal(second[name], resumed[name]) for name in second)
    assert not list((other / "training" / "ppo").glob("*/*"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--reward_functions", "helpers.tiny_ppo:never"],
            "None of 9 answers to 3 prompts is good by 'helpers.tiny_ppo:never'",
        ),
        (["--reward_functions", "helpers.tiny_ppo:breaks"], "not a finite number"),
        ([], "Nothing scores the answers"),
        (
            ["--reward_functions", "nothing"],
            "There is no reward function 'nothing'. Known: checker, unit, ends",
        ),
        (["--reward_functions", "unit", "--reward_weights", "1", "2"], "1 rewards and 2 --reward_weights"),
        (["--reward", "v1"], "v1 is not a reward model"),
        (["--reward_functions", "unit", "--max_new_tokens", "4000"], "Lower --max_new_tokens"),
        (["--reward_functions", "unit", "--suite", "cooking"], "no task kind 'cooking'"),
    ],
)
def test_a_run_that_cannot_learn_is_refused_with_advice_and_writes_no_version(
    home: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert main(quick(tiny_home(home), *flags)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert Versions(home).ids() == ["v1"]


def test_a_dry_run_shows_examples_and_writes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(quick(tiny_home(home), "--reward_functions", "unit", "--dry_run")) == 0
    out = capsys.readouterr().out
    assert "updates: 2 of 6 answers, 4 steps" in out
    assert re.search(r"expected: about \d+", out)
    assert re.search(r"memory: \d+ MiB", out)
    assert out.count("---") == 3
    assert out.count("⟦") == 4  # three examples, and the line that explains the brackets
    assert Versions(home).ids() == ["v1"]
