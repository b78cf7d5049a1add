"""RLOO through TRL: it answers the token ids that were served, and rewards receive whole answers."""

import json
import statistics
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.tiny_home import tiny_home
from safetensors.torch import load_file
from transformers import AutoTokenizer
from trl import RLOOTrainer

from alignment.__main__ import main
from alignment.data.prompts import RolloutPrompt
from alignment.errors import TrainingError
from alignment.scoring.reward_functions import Rollout, Source
from alignment.scoring.sources import as_trl_reward
from alignment.stages import rloo
from alignment.training.flags import StageLocation
from alignment.training.memory import MemoryPlan
from alignment.training.parent_version import open_parent
from alignment.training.trl_compat import TokenRLOOTrainer
from assistant.bases.base import STARTER_FOLDER
from assistant.registry.versions import Versions
from assistant.serving import prompt
from assistant.serving.loading import load_for_training


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")


def train(
    home: Path, tokenizer: Any, folder: Path, trainer: type[TokenRLOOTrainer], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Two updates of RLOO with a trainer of its own, on prompts of which one was served with other token ids.

    Returns the model.
    """
    monkeypatch.setattr(rloo, "TokenRLOOTrainer", trainer)
    messages = [{"role": "user", "content": "What is 3 + 4?"}]
    prompts = [
        RolloutPrompt(messages, think=False),
        RolloutPrompt(messages, think=True, prompt_ids=[5, 6, 7]),
    ]
    model = load_for_training(Versions(tiny_home(home)).open("v1"), home).model
    source = Source("length", lambda answers: [float(sum(answer.completion_ids)) for answer in answers])
    recipe = rloo.RLOORecipe(learning_rate=2e-4, updates=2, batch_size=2, answers=2, max_new_tokens=4)
    rloo.train(model, tokenizer, prompts, [source], recipe, folder)
    return model


def test_answers_are_drawn_for_the_token_ids_that_were_served(
    home: Path, tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated: list[list[int]] = []

    class Recording(TokenRLOOTrainer):
        def _generate_single_turn(self, prompt_ids: Any, *rest: Any) -> Any:
            generated.extend(prompt_ids)
            return super()._generate_single_turn(prompt_ids, *rest)

    train(home, tokenizer, tmp_path, Recording, monkeypatch)
    rendered = prompt.render(tokenizer, [{"role": "user", "content": "What is 3 + 4?"}], think=False)
    assert {tuple(ids) for ids in generated} == {tuple(rendered), (5, 6, 7)}


# TRL 1.16 draws answers without checkpointing, by names that transformers 5.23 renamed.
@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_(dis|en)able. is deprecated:FutureWarning")
def test_an_update_does_not_depend_on_how_its_answers_are_split(
    tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In float32, so that what differs is the order of sums alone.
    monkeypatch.setattr(rloo, "fast_bfloat16", lambda: False)
    results = []
    for tokens, checkpointing in ((1, False), (60, True), (100_000, False)):
        plan = MemoryPlan(tokens, checkpointing, 0)
        monkeypatch.setattr(rloo, "plan_for", lambda *_, plan=plan: plan)
        torch.manual_seed(0)
        folder = tmp_path / str(tokens)
        model = train(folder / "home", tokenizer, folder / "run", TokenRLOOTrainer, monkeypatch)
        results.append({name: weight for name, weight in model.named_parameters() if weight.requires_grad})
    expected, *others = results
    assert any(weight.any() for name, weight in expected.items() if "lora_B" in name)
    for trained in others:
        for name, weight in expected.items():
            assert torch.allclose(trained[name], weight, atol=1e-5), name


def test_no_answer_loses_its_gradient_to_a_reading_that_differs(
    tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL's ratio of two readings of an answer, which is one but for rounding, would be clipped here."""

    class Rounded(TokenRLOOTrainer):
        error = 0.0

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            drawn = super()._generate_and_score_completions(inputs)
            return {**drawn, "old_logps": drawn["old_logps"] + self.error}

    results = []
    for error in (0.0, 5.0):
        torch.manual_seed(0)
        folder = tmp_path / str(error)
        trainer = type("Rounded", (Rounded,), {"error": error})
        model = train(folder / "home", tokenizer, folder / "run", trainer, monkeypatch)
        results.append([weight for name, weight in model.named_parameters() if "lora_B" in name])
    assert any(weight.any() for weight in results[0])
    assert all(torch.equal(exact, rounded) for exact, rounded in zip(*results, strict=True))


def test_without_the_hook_the_tokenizer_refuses_token_ids_for_text(
    home: Path, tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Renamed(TokenRLOOTrainer):
        """As if TRL called a method of another name."""

        _tokenize_prompts = RLOOTrainer._tokenize_prompts

    with pytest.raises((TypeError, ValueError)):
        train(home, tokenizer, tmp_path, Renamed, monkeypatch)


def test_a_loss_on_answers_to_other_token_ids_is_refused(
    home: Path, tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Changed(TokenRLOOTrainer):
        def _tokenize_prompts(self, prompts: Any) -> Any:
            return [[*ids, 9] for ids in prompts], None, {}

    with pytest.raises(TrainingError, match=r"TRL \S+ drew answers for other token ids"):
        train(home, tokenizer, tmp_path, Changed, monkeypatch)


def test_a_reward_receives_prompt_thought_answer_and_whether_it_ended(tokenizer: Any) -> None:
    scored: list[Rollout] = []

    def score(answers: Any) -> list[float]:
        scored.extend(answers)
        return [float(answer.ended) for answer in answers]

    messages = [{"role": "user", "content": "What is 3 + 4?"}]
    prompts = [RolloutPrompt(messages, think=False), RolloutPrompt(messages, think=True)]
    completion = prompt.completion(tokenizer, "3+4=7", "7", think=True)
    reward = as_trl_reward(Source("mine", score), prompts, tokenizer, [tokenizer.eos_token_id])
    assert reward(completion_ids=[completion, completion[:-1]], row=[1, 1], trainer_state=None) == [1.0, 0.0]
    assert [(answer.thought, answer.answer, answer.ended) for answer in scored] == [
        ("3+4=7", "7", True),
        ("3+4=7", "7", False),
    ]
    assert scored[0].prompt_ids == prompt.render(tokenizer, messages, think=True)
    assert reward.__name__ == "mine"


@pytest.mark.parametrize("continued", [True, False])
def test_only_the_adapter_moves(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], continued: bool
) -> None:
    file = tmp_path / "prompts.jsonl"
    lines = [json.dumps({"prompt": f"Tom has {n} apples and buys 2 more. How many?"}) for n in range(12)]
    file.write_text("\n".join(lines), encoding="utf-8")
    settings = ["--prompts", str(file), "--thinking=off", "--updates=2", "--batch_size=2", "--answers=2"]
    # Answers to one prompt must score differently: RLOO learns from the difference alone.
    (tmp_path / "score_by_tokens.py").write_text(
        "def score(answers):\n    return [float(1 + sum(answer.completion_ids) % 7) for answer in answers]\n",
        encoding="utf-8",
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(tmp_path))
        exit_code = main(
            [
                "rloo",
                "--home",
                str(tiny_home(home, adapter=continued)),
                *settings,
                "--max_new_tokens=8",
                "--preflight_prompts=2",
                "--preflight_samples=2",
                "--reward_functions=score_by_tokens:score",
            ]
        )
    assert exit_code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("model: LoRA of v1; loss: REINFORCE, leave-one-out")
    assert lines[-1] == "v2"
    versions = Versions(home)
    second = load_file(versions.open("v2").folder / "adapter_model.safetensors")
    if continued:
        first = load_file(versions.open("v1").folder / "adapter_model.safetensors")
        assert first.keys() == second.keys()
        assert any(not torch.equal(first[name], second[name]) for name in first)
    else:
        assert any(weight.any() for name, weight in second.items() if "lora_B" in name)
    manifest = versions.open("v2").manifest
    assert (manifest.stage, manifest.parent) == ("rloo", "v1")
    assert manifest.metrics["reward"] > 0


def test_an_answer_that_does_not_end_costs_the_penalty(tokenizer: Any) -> None:
    prompts = [RolloutPrompt([{"role": "user", "content": "What is 3 + 4?"}], think=False)]
    completion = prompt.completion(tokenizer, "", "7", think=False)
    # A model may have several tokens that end an answer.
    ends = [tokenizer.eos_token_id, 5]
    penalty = as_trl_reward(Source("missing_end", rloo.missing_end, 2.0), prompts, tokenizer, ends)
    cut, other_end = completion[:-1], [*completion[:-1], 5]
    assert penalty(completion_ids=[completion, cut, other_end], row=[0, 0, 0]) == [0.0, -1.0, 0.0]


def test_the_zero_and_unit_of_a_reward_model_are_those_of_the_parents_answers(home: Path) -> None:
    versions = Versions(tiny_home(home))
    parent = open_parent(StageLocation(home=home))
    training = [RolloutPrompt([{"role": "user", "content": f"What is {n} + 4?"}], False) for n in range(4)]
    scored: list[float] = []

    def score(answers: Any) -> list[float]:
        scored[:] = [100.0 + sum(answer.completion_ids) for answer in answers]
        return list(scored)

    source = Source("reward", score, model=True)
    recipe = rloo.RLOORecipe(max_new_tokens=4, preflight_prompts=4, preflight_samples=2)
    before = rloo.preflight(parent, parent.loaded.model, training, [source], recipe)
    assert source.shift == pytest.approx(statistics.fmean(scored))
    assert source.scale == pytest.approx(statistics.pstdev(scored))
    # A continued run finds the same.
    again = Source("reward", score, model=True)
    assert rloo.preflight(parent, parent.loaded.model, training, [again], recipe) == before
    assert (again.shift, again.scale) == (source.shift, source.scale)
    assert versions.ids() == ["v1"]


@pytest.mark.parametrize("tied", [[1.0, 1.0], [1.0, 0.5]])
def test_training_ends_where_all_answers_of_the_first_updates_tie(tied: list[float]) -> None:
    state = SimpleNamespace(max_steps=2, log_history=[{rloo.TIED_SHARE: share} for share in tied])
    stop = rloo.StopWhereAllTie()
    if min(tied) < 1:
        stop.on_log(None, state, None)
        return
    with pytest.raises(TrainingError, match="of the first 2 updates have the same score"):
        stop.on_log(None, state, None)


def test_a_run_without_a_reward_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rloo", "--home", str(home), "--suite", "word_two_step"]) == 2
    assert "Nothing scores the answers" in capsys.readouterr().err
