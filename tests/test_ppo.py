"""PPO as a whole: what is drawn, what is shared, what moves, what is learned, and what stops it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from feedback import rate_replies
from peft import LoraConfig, get_peft_model
from ppo_parts import TOKENIZER, quick, starts_high, tiny_base, tiny_config, tiny_model, tiny_ppo
from safetensors.torch import load_file
from transformers import Qwen3ForSequenceClassification

from alignment import asked, ppo_state, rewards
from alignment.__main__ import main
from alignment.asked import Asked
from alignment.errors import DataError, TrainingError
from alignment.ppo import PPORecipe, stopped
from alignment.ppo_model import SharedBase, batch
from alignment.ppo_train import PPO
from alignment.rewards import Said, Source
from alignment.rollout import generate, merged
from assistant import prompt
from assistant.first import version_to_serve
from assistant.model import load_for_serving
from assistant.versions import STARTER_FOLDER, Version, Versions, file_hash
from feedback_store import FeedbackStore

PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [14]]
COMPLETIONS = [[20, 21], [22, 23, 24, 25], [26, 27, 28]]
QUESTIONS = [Asked([{"role": "user", "content": f"Word {n}?"}], n % 2 == 0) for n in range(16)]


def tiny_recipe(**changes: Any) -> PPORecipe:
    given = {
        "updates": 20,
        "batch_size": 64,
        "max_new_tokens": 1,
        "missing_end_penalty": 0.0,
        "learning_rate": 0.01,
    }
    return PPORecipe(**{**given, **changes})


def greedy(model: Any, prompts: list[list[int]], limits: list[int]) -> list[list[int]]:
    # A very low temperature leaves the likeliest token alone.
    return generate(model, prompts, limits, [2], 1e-6, [0] * len(prompts))


def test_answers_are_the_same_alone_and_in_a_batch_that_others_leave() -> None:
    model = tiny_model().eval()
    limits = [3, 12, 7]
    together = greedy(model, PROMPTS, limits)
    assert [len(one) for one in together] == limits
    assert together == [greedy(model, [one], [limit])[0] for one, limit in zip(PROMPTS, limits, strict=True)]


def test_an_answer_ends_with_its_end_and_not_after_it() -> None:
    model = tiny_model().eval()
    said = greedy(model, PROMPTS[:1], [10])[0]
    stopped = generate(model, PROMPTS[:1], [10], [said[4]], 1e-6, [0])[0]
    assert stopped == said[: said.index(said[4]) + 1]


def test_tokens_are_drawn_from_the_policys_own_distribution() -> None:
    model = tiny_model().eval()
    drawn = generate(model, [PROMPTS[0]] * 4000, [1] * 4000, [2], 1.5, range(4000))
    with torch.no_grad():
        expected = torch.softmax(model(torch.tensor(PROMPTS[:1])).logits[0, -1] / 1.5, dim=-1)
    found = torch.bincount(torch.tensor(drawn)[:, 0], minlength=4096) / 4000
    likely = expected.topk(5).indices
    assert torch.allclose(found[likely], expected[likely], atol=0.03)
    assert float((found * expected.log()).sum()) == pytest.approx(
        float((expected * expected.log()).sum()), abs=0.1
    )


def test_merging_for_generation_changes_no_answer_and_leaves_the_base_as_it_was() -> None:
    model = tiny_model().eval()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    ids = torch.tensor([PROMPTS[1]])
    with torch.no_grad():
        plain = model(ids).logits
        with merged(model, "default"):
            assert torch.allclose(model(ids).logits, plain, atol=1e-5)
        assert torch.equal(model(ids).logits, plain)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_padding_changes_neither_probabilities_nor_values_nor_gradients() -> None:
    shared = SharedBase(tiny_model(), True, 1.0, 1)
    with torch.no_grad():
        shared.value_head.outer.weight.normal_()
    together = shared.judge(batch(PROMPTS, COMPLETIONS, "cpu"), entropy=True)
    for row, (asked_ids, said_ids) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        alone = shared.judge(batch([asked_ids], [said_ids], "cpu"), entropy=True)
        scores = torch.log_softmax(shared.model(torch.tensor([asked_ids + said_ids])).logits[0], dim=-1)
        plain = scores[len(asked_ids) - 1 : -1].gather(1, torch.tensor(said_ids)[:, None])[:, 0]
        length = len(said_ids)
        assert torch.allclose(together.logps[row, :length], plain, atol=1e-4)
        for name in ("logps", "values", "entropy"):
            assert torch.allclose(
                getattr(together, name)[row, :length], getattr(alone, name)[0], atol=1e-4
            ), name
    together.logps[torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0]]).bool()].sum().backward()
    assert all(
        bool(one.grad.isfinite().all()) for one in shared.policy_weights().values() if one.grad is not None
    )


def test_the_value_head_never_moves_the_policy() -> None:
    shared = SharedBase(tiny_model(), True, 1.0, 1)
    with torch.no_grad():
        shared.value_head.outer.weight.normal_()
    values = shared.judge(batch(PROMPTS, COMPLETIONS, "cpu")).values
    assert values is not None
    values.sum().backward()
    assert all(weight.grad is None for weight in shared.policy_weights().values())
    assert all(weight.grad is not None for weight in shared.value_head.parameters())


@pytest.mark.parametrize("continued", [True, False])
def test_the_reference_stays_the_parent_while_the_policy_moves(continued: bool) -> None:
    model = tiny_model(moved=continued)
    parent = SharedBase(tiny_model(moved=continued), True, 1.0, 1)
    shared = SharedBase(model, continued, 1.0, 1)
    given = batch(PROMPTS, COMPLETIONS, "cpu")
    with torch.no_grad():
        before = parent.judge(given).logps
        for weight in shared.policy_weights().values():
            weight.add_(0.1)
        assert not torch.allclose(shared.judge(given).logps[given.mask], before[given.mask], atol=1e-2)
    assert torch.allclose(shared.reference_logps(given)[given.mask], before[given.mask], atol=1e-5)
    # Looking at the reference leaves the policy the one that is trained.
    assert shared.policy_weights()
    assert all(".default." in name for name in shared.policy_weights())


def reward_version(folder: Path, seed: int) -> tuple[Version, Any]:
    """A reward model of the tiny base, saved as PEFT saves one; and the model itself."""
    base: Any = Qwen3ForSequenceClassification(tiny_config())
    base.config.num_labels = 1
    base.score = torch.nn.Linear(32, 1, bias=False)
    base.model.load_state_dict(tiny_base().model.state_dict())
    torch.manual_seed(seed)
    model = get_peft_model(
        base.float(),
        LoraConfig(task_type="SEQ_CLS", r=4, target_modules="all-linear", modules_to_save=["score"]),
    ).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name or "score" in name:
                weight.normal_(std=0.3)
    model.save_pretrained(str(folder))
    manifest: Any = SimpleNamespace(stage="reward")
    version: Any = SimpleNamespace(id="v3", manifest=manifest, folder=folder)
    return version, model


def test_a_reward_model_on_the_shared_base_scores_as_it_does_alone(tmp_path: Path) -> None:
    version, alone = reward_version(tmp_path / "first", seed=1)
    other, _ = reward_version(tmp_path / "second", seed=2)
    shared = SharedBase(tiny_model(), True, 1.0, 1)
    given = batch(PROMPTS, COMPLETIONS, "cpu")
    before = shared.judge(given).logps.detach()
    shared.add_reward("reward", version)
    shared.add_reward("watch", other)
    sequences = [one + two for one, two in zip(PROMPTS, COMPLETIONS, strict=True)]
    with torch.no_grad():
        expected = [float(alone(torch.tensor([one])).logits) for one in sequences]
    assert shared.reward("reward", sequences, at_once=2) == pytest.approx(expected, abs=1e-4)
    assert shared.reward("watch", sequences, at_once=2) != pytest.approx(expected, abs=1e-2)
    # Policy and trainable weights are what they were.
    assert torch.equal(shared.judge(given).logps.detach(), before)
    assert all(".default." in name for name in shared.policy_weights())


def test_a_version_that_is_no_reward_model_is_refused(tmp_path: Path) -> None:
    version, _ = reward_version(tmp_path, seed=1)
    version.manifest.stage = "sft"  # type: ignore[misc]
    with pytest.raises(DataError, match="no reward model but was made by 'sft'"):
        SharedBase(tiny_model(), True, 1.0, 1).add_reward("reward", version)


def shares_high(ppo: PPO) -> torch.Tensor:
    """Probability that an answer starts high, for each question, exactly."""
    prompts = [prompt.render(TOKENIZER, one.messages, one.think) for one in QUESTIONS]
    with torch.no_grad():
        logits = [ppo.shared.model(torch.tensor([ids])).logits[0, -1] for ids in prompts]
    return torch.softmax(torch.stack(logits), dim=-1)[:, 2048:].sum(dim=1)


def test_the_whole_loop_comes_to_the_known_optimum_of_a_reward_against_the_kl() -> None:
    ppo = tiny_ppo(
        tiny_recipe(kl_coef=0.5, updates=16, minibatches=2, micro_batch_size=64), Source("high", starts_high)
    )
    before = shares_high(ppo)
    for number in range(16):
        ppo.update(asked.drawn(QUESTIONS, number, 64, seed=1))
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
    figures = ppo.update(QUESTIONS[:8])
    moved = {
        name
        for name, weight in ppo.shared.model.state_dict().items()
        if not torch.equal(weight, before[name])
    }
    assert moved and all("lora_" in name and ".default." in name for name in moved)
    assert figures["clip_fraction"] == 0.0
    assert figures["kl"] == pytest.approx(0.0, abs=1e-4)


def test_micro_batches_change_nothing_but_memory() -> None:
    one, other = (
        tiny_ppo(
            tiny_recipe(max_new_tokens=5, batch_size=8, micro_batch_size=size), Source("high", starts_high)
        )
        for size in (2, 16)
    )
    one.update(QUESTIONS[:8])
    other.update(QUESTIONS[:8])
    for name, weight in one.policy.items():
        assert torch.allclose(weight, other.policy[name], atol=1e-4), name


def test_a_run_that_was_killed_goes_on_to_the_very_weights_of_one_that_was_not(tmp_path: Path) -> None:
    def run() -> PPO:
        return tiny_ppo(
            tiny_recipe(updates=4, batch_size=8, max_new_tokens=4, target_kl=1.0), Source("high", starts_high)
        )

    whole, killed, resumed = run(), run(), run()
    for number in range(4):
        whole.update(asked.drawn(QUESTIONS, number, 8, seed=1))
    whole.look(QUESTIONS[:4])
    for number in range(3):
        if number == 2:
            ppo_state.save(killed, tmp_path)
        killed.update(asked.drawn(QUESTIONS, number, 8, seed=1))
    assert ppo_state.load(resumed, tmp_path)
    assert resumed.done == 2
    for number in range(2, 4):
        resumed.update(asked.drawn(QUESTIONS, number, 8, seed=1))
    resumed.look(QUESTIONS[:4])
    assert all(torch.equal(weight, resumed.policy[name]) for name, weight in whole.policy.items())
    assert json.dumps(resumed.history) == json.dumps(whole.history)
    assert [path.name for path in tmp_path.iterdir()] == [ppo_state.STATE]


def test_the_ids_that_are_trained_on_are_the_prompt_as_served_and_the_completion_as_drawn() -> None:
    ppo = tiny_ppo(tiny_recipe(max_new_tokens=6), Source("high", starts_high))
    for one, said in zip(QUESTIONS, ppo.answer(QUESTIONS, "test"), strict=True):
        assert said.prompt_ids == prompt.render(TOKENIZER, one.messages, one.think)
        assert 1 <= len(said.completion_ids) <= 6
        assert said.ended == (said.completion_ids[-1] == TOKENIZER.eos_token_id)
    again = ppo.answer(QUESTIONS, "test")
    assert [one.completion_ids for one in again] == [
        one.completion_ids for one in ppo.answer(QUESTIONS, "test")
    ]
    assert [one.completion_ids for one in again] != [
        one.completion_ids for one in ppo.answer(QUESTIONS, "else")
    ]


def test_a_second_judge_that_falls_while_the_score_rises_is_called_over_optimisation() -> None:
    rising, falling = [0.1 * n for n in range(16)], [2 - 0.1 * n for n in range(16)]
    assert rewards.over_optimised(rising, falling, window=8)
    assert not rewards.over_optimised(rising, rising, window=8)
    assert not rewards.over_optimised(rising[:15], falling[:15], window=8)
    assert not rewards.over_optimised(rising, [0.5 + 0.1 * (-1) ** n for n in range(16)], window=8)
    ppo = tiny_ppo(
        tiny_recipe(watch_window=8), Source("high", starts_high), watch=Source("watch", starts_high)
    )
    ppo.history = [{"score": a, "watch": b} for a, b in zip(rising, falling, strict=True)]
    run: Any = SimpleNamespace(patience=3)
    assert "Over-optimisation" in stopped(ppo, run)
    ppo.history = [{"score": a, "watch": a} for a in rising]
    assert stopped(ppo, run) == ""


def test_held_out_prompts_that_are_answered_worse_and_worse_end_training_with_the_best_weights() -> None:
    ppo = tiny_ppo(tiny_recipe(batch_size=8), Source("high", starts_high))
    ppo.look(QUESTIONS[:8])
    best = {name: weight.detach().clone() for name, weight in ppo.policy.items()}
    ppo.update(QUESTIONS[:8])
    score = ppo.history[0]["eval_score"]
    ppo.history += [{"eval_score": score - 1, "eval_error": 0.1} for _ in range(3)]
    assert ppo.falls(3) and not ppo.falls(4) and not ppo.falls(0)
    ppo.keep_best()
    assert all(torch.equal(weight, best[name]) for name, weight in ppo.policy.items())


def said(score: float) -> Said:
    return Said([], False, None, [1], [int(score * 10)], "", "", True)


def tens(some: Any) -> list[float]:
    return [one.completion_ids[0] / 10 for one in some]


def test_the_pre_flight_tells_how_many_prompts_have_a_good_answer() -> None:
    found = rewards.preflight([Source("tens", tens)], [said(s) for s in (0, 0, 0, 1, 1, 1)], samples=2)
    assert found == {"tens_good": pytest.approx(2 / 3), "tens_before": pytest.approx(0.5)}


def test_the_pre_flight_gives_a_reward_model_a_zero_and_a_unit() -> None:
    source = Source("model", tens, model=True)
    rewards.preflight([source], [said(s) for s in (10, 20, 30, 20)], samples=2)
    assert source([said(20)]) == [pytest.approx(0.0)]
    assert source([said(30)])[0] == pytest.approx(1.414, abs=1e-3)


@pytest.mark.parametrize(
    ("scores", "model", "why"),
    [
        (
            [0, 0, 0, 0],
            False,
            r"None of 4 answers to 2 prompts is good by 'tens' \(2 tries each\).*alignment sft",
        ),
        ([1, 1, 1, 1], False, r"All 4 answers to 2 prompts have the same score"),
        ([2, 2, 2, 2], True, r"all 4 answers to 2 prompts the same score"),
    ],
)
def test_the_pre_flight_stops_where_there_is_nothing_to_learn(
    scores: list[float], model: bool, why: str
) -> None:
    with pytest.raises(TrainingError, match=why):
        rewards.preflight([Source("tens", tens, model=model)], [said(s) for s in scores], samples=2)


def test_scores_are_summed_with_their_weights() -> None:
    sources = [Source("a", tens, 2.0), Source("b", tens, -0.5)]
    assert rewards.total(sources, {"a": [1.0, 2.0], "b": [4.0, 0.0]}) == [0.0, 4.0]


def test_the_checkers_reward_what_is_right_and_names_its_unit() -> None:
    asking = next(one for one in asked.from_suite(["word_two_step"], 8, "off", 1) if one.task)
    assert asking.task is not None
    right = asking.task.answer
    answers = [
        Said(asking.messages, False, asking.task, [1], [2], "", text, ended)
        for text, ended in (
            (right, True),
            (str(asking.task.expected["number"]), True),
            ("I am not sure.", False),
        )
    ]
    assert rewards.find("checker")(answers) == [1.0, 1.0, 0.0]
    assert rewards.find("unit")(answers) == [1.0, 0.0, 0.0]
    assert rewards.find("ends")(answers) == [1.0, 1.0, 0.0]
    with pytest.raises(DataError, match="checks tasks, and a prompt is none"):
        rewards.find("checker")([said(1)])


def test_prompts_are_read_in_every_form_and_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    task = {
        "kind": "addition",
        "language": "en",
        "template": "t",
        "thought": "",
        "answer": "3",
        "expected": {"number": 3},
    }
    turns = [{"role": "user", "content": "What is 1 + 2?"}]
    lines = [{"prompt": "Hello"}, {"messages": turns, "think": True}, {**task, "messages": turns}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    found = asked.from_file(path, "both")
    assert [(one.messages[0]["content"], one.think, one.task is not None) for one in found] == [
        ("Hello", True, False),
        ("Hello", False, False),
        ("What is 1 + 2?", True, False),
        ("What is 1 + 2?", True, True),
        ("What is 1 + 2?", False, True),
    ]
    path.write_text('{"prompt": "Hello"}\n{"messages": []}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"prompts.jsonl, line 2"):
        asked.from_file(path, "off")


def test_what_people_asked_is_asked_again_in_the_tokens_that_were_served(home: Path) -> None:
    home.mkdir()
    FeedbackStore.open(home / "feedback.db").close()
    with pytest.raises(DataError, match="Nobody has asked anything yet"):
        asked.from_store(home)
    rate_replies(home, [("What is 1 + 2?", "3", 1), ("What is 5 + 6?", "12", -1)])
    found = asked.from_store(home)
    assert [one.messages[-1]["content"] for one in found] == ["What is 1 + 2?", "What is 5 + 6?"]
    assert found[0].rendered(TOKENIZER) == prompt.render(TOKENIZER, found[0].messages, False)


def test_every_prompt_is_asked_once_before_any_is_asked_again() -> None:
    first = [one.messages[0]["content"] for n in range(4) for one in asked.drawn(QUESTIONS, n, 4, seed=1)]
    second = [one.messages[0]["content"] for n in range(4, 8) for one in asked.drawn(QUESTIONS, n, 4, seed=1)]
    assert len(set(first)) == len(set(second)) == 16
    assert first != second


def test_the_stage_writes_a_child_whose_adapter_alone_moved_and_resumes_after_a_kill(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--reward_functions", "ppo_parts:evens")
    base = file_hash(STARTER_FOLDER / "base" / "model.safetensors")
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
    assert file_hash(STARTER_FOLDER / "base" / "model.safetensors") == base
    assert load_for_serving(version, home).window > 0

    update = PPO.update

    def killed(self: PPO, questions: list[Asked]) -> dict[str, float]:
        if self.done == 1:
            raise KeyboardInterrupt
        return update(self, questions)

    other = tmp_path / "other"
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
    ("flags", "why"),
    [
        (
            ["--reward_functions", "ppo_parts:never"],
            "None of 9 answers to 3 prompts is good by 'ppo_parts:never'",
        ),
        (["--reward_functions", "ppo_parts:breaks"], "not a finite number"),
        ([], "Nothing scores the answers"),
        (
            ["--reward_functions", "nothing"],
            "There is no reward function 'nothing'. Known: checker, unit, ends",
        ),
        (["--reward_functions", "unit", "--reward_weights", "1", "2"], "1 rewards and 2 --reward_weights"),
        (["--reward", "v1"], "v1 is no reward model"),
        (["--reward_functions", "unit", "--max_new_tokens", "4000"], "Lower --max_new_tokens"),
        (["--reward_functions", "unit", "--suite", "cooking"], "no task kind 'cooking'"),
    ],
)
def test_what_cannot_be_learned_from_ends_with_advice_and_without_a_version(
    home: Path, capsys: pytest.CaptureFixture[str], flags: list[str], why: str
) -> None:
    version_to_serve(home, None)
    assert main(quick(home, *flags)) == 2
    error = capsys.readouterr().err
    assert why in error
    assert "Traceback" not in error
    assert Versions(home).ids() == ["v1"]


def test_a_dry_run_shows_examples_and_writes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(quick(home, "--reward_functions", "unit", "--dry_run")) == 0
    out = capsys.readouterr().out
    assert "updates: 2 of 6 answers, 4 steps" in out
    assert out.count("⟦") == 3
    assert Versions(home).ids() == ["v1"]
