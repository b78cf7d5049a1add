"""The reward stage: its loss for pairs and thumbs, what it learns, and a version that is never served."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.feedback import apples, rate_replies
from helpers.pair_rows import numbers, row, write
from helpers.tiny_home import tiny_home
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alignment.__main__ import main
from alignment.data.judgements import JudgedCompletion, JudgementCollator
from alignment.data.splits import half_of
from alignment.errors import DataError, FlagError
from alignment.ppo.shared_base import SharedBase
from alignment.scoring import reward_model
from alignment.stages import reward
from alignment.stages.reward import RewardTrainer
from alignment.training import parent_version, processes
from alignment.training.flags import StageLocation
from alignment.training.parent_version import open_parent
from assistant.bases.base import STARTER_FOLDER
from assistant.errors import VersionError
from assistant.registry.versions import Versions

QUICK = ["--min_steps", "6", "--epochs", "1", "--evaluations", "1", "--learning_rate", "1e-3"]


def run(home: Path, *arguments: str) -> int:
    return main(["reward", "--home", str(home), *arguments])


def judgement(
    number: int, first: list[int], second: list[int] | None = None, sign: int = 1
) -> JudgedCompletion:
    return JudgedCompletion(row(number)["messages"], 1, first, second, sign)


class Fixed(torch.nn.Module):
    """A model whose score of a sequence is its last token."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, use_cache: bool) -> Any:
        last = input_ids.gather(1, attention_mask.sum(1, keepdim=True) - 1)
        return type("Out", (), {"logits": last.float()})


def loss(*judgements: JudgedCompletion) -> float:
    batch = JudgementCollator(pad=0)([{"judged": judgement} for judgement in judgements])
    return float(RewardTrainer.compute_loss(object.__new__(RewardTrainer), Fixed(), batch))


def test_the_loss_of_a_pair_is_bradley_and_terrys_and_that_of_a_thumb_binary() -> None:
    def softplus(x: float) -> float:
        return math.log1p(math.exp(x))

    pair = judgement(0, [9, 3], [9, 9, 1])
    up, down = judgement(1, [9, 2]), judgement(2, [9, 2], sign=-1)
    assert loss(pair) == pytest.approx(softplus(-(3 - 1)))
    assert loss(up) == pytest.approx(softplus(-2))
    assert loss(down) == pytest.approx(softplus(2))
    # In a batch: the mean, where each pair keeps its own rejected completion.
    assert loss(up, pair, down) == pytest.approx((softplus(-2) + softplus(-2) + softplus(2)) / 3)


def test_a_reward_model_trained_on_thumbs_scores_unseen_replies_and_is_never_served(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rate_replies(tiny_home(home), apples(60))
    assert run(home, *QUICK, "--min_steps=24", "--learning_rate=1e-2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("model: LoRA and a head on v1; loss: Bradley-Terry (pairs), binary (thumbs)")
    assert lines[-1] == "v2"
    versions = Versions(home)
    child = versions.open("v2")
    scorer = reward_model.load(child, home)
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")
    pairs_file = write(home / "unseen.jsonl", [row(n) for n in range(200, 206)])
    from alignment.data import token_pairs

    unseen = token_pairs.read_pairs(pairs_file, tokenizer)
    liked = scorer([pair.prompt_ids + pair.chosen_ids for pair in unseen])
    disliked = scorer([pair.prompt_ids + pair.rejected_ids for pair in unseen])
    assert all(better > worse for better, worse in zip(liked, disliked, strict=True))

    # A sequence gets the same score alone and among longer ones.
    alone = scorer([unseen[0].prompt_ids + unseen[0].rejected_ids])
    assert alone[0] == pytest.approx(disliked[0], abs=1e-4)

    metrics, data = child.manifest.metrics, child.manifest.data
    assert metrics["held_out_loss_before"] == pytest.approx(math.log(2), abs=1e-3)
    assert data["thumbs_up"] + data["thumbs_down"] + data["held_out"] == 60
    assert metrics["accuracy_interval"][0] <= metrics["accuracy"] <= metrics["accuracy_interval"][1]
    assert (child.folder / "curves.json").exists()

    # The folder is PEFT's own: a sequence classifier with one label.
    from peft import PeftModel

    core = AutoModelForSequenceClassification.from_pretrained(home / "tiny", num_labels=1)
    core.config.pad_token_id = tokenizer.pad_token_id
    plain = PeftModel.from_pretrained(core.float(), str(child.folder)).eval()
    ids = torch.tensor([unseen[0].prompt_ids + unseen[0].chosen_ids])
    assert float(plain(ids).logits) == pytest.approx(liked[0], abs=1e-3)
    state = load_file(child.folder / "adapter_model.safetensors")
    parents = load_file(versions.open("v1").folder / "adapter_model.safetensors")
    assert set(state) - set(parents) == {"base_model.model.score.weight"}
    assert all(not torch.equal(state[name], parents[name]) for name in parents)

    with pytest.raises(VersionError, match="v2 is a reward model"):
        versions.release("v2")
    assert versions.released() == "v1"
    with pytest.raises(DataError, match="v2 is a reward model"):
        open_parent(StageLocation(home=home, parent="v2"))
    with pytest.raises(DataError, match="v1 is not a reward model"):
        reward_model.load(versions.open("v1"), home)


def test_before_training_every_score_is_zero_and_the_adapter_is_the_parents(home: Path) -> None:
    parent = open_parent(StageLocation(home=tiny_home(home)))
    model = reward_model.begin(parent, reward.RewardRecipe())
    assert reward_model.Scorer(model)([[5, 6, 7], [8]]) == [0.0, 0.0]
    adapter = load_file(parent.version.folder / "adapter_model.safetensors")
    own = dict(model.named_parameters())
    for name, value in adapter.items():
        assert torch.equal(own[name.replace(".weight", ".default.weight")], value.float())
    trained = {name for name, weight in own.items() if weight.requires_grad}
    assert all("lora_" in name or "score.modules_to_save" in name for name in trained)
    assert any("score" in name for name in trained)


def test_a_score_is_the_classifiers_own_whatever_goes_through_with_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (parent_version, processes):  # so that equal means equal
        monkeypatch.setattr(module, "fast_bfloat16", lambda: False)
    tiny_home(home)
    model = reward_model.begin(open_parent(StageLocation(home)), reward.RewardRecipe())
    torch.nn.init.normal_(model.base_model.model.score.modules_to_save["default"].weight)
    sequences = [list(range(10, end)) for end in (31, 14, 52)]
    with torch.no_grad():
        own = [model.eval()(torch.tensor([ids])).logits.item() for ids in sequences]
    assert reward_model.Scorer(model)(sequences) == pytest.approx(own, rel=1e-4)


def test_the_thumb_of_a_reply_in_a_pair_is_left_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rate_replies(tiny_home(home), apples(4))
    from alignment.data.token_pairs import TokenPair
    from feedback_store import FeedbackStore, rows

    with FeedbackStore.open(home / "feedback.db") as store:
        thumbs = rows.unpaired_rows(store)
    chosen, rejected = thumbs[0], thumbs[1]
    pair = TokenPair(chosen.messages, chosen.prompt_ids, [1], [2], (chosen.reply_id, rejected.reply_id))
    monkeypatch.setattr(reward, "pairs_of_store", lambda rows, tokenizer: [pair])
    location = StageLocation(home=home)
    judgements, _ = reward.load_judgements(open_parent(location), location, reward.RewardRecipe())
    assert [item.second is not None for item in judgements] == [True, False, False]
    assert {tuple(item.first) for item in judgements[1:]} == {
        tuple(thumb.prompt_ids + thumb.completion_ids) for thumb in thumbs[2:]
    }


def test_the_head_alone_learns_what_is_liked_and_leaves_the_adapter_as_it_was(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rate_replies(tiny_home(home), apples(60))
    assert run(home, "--head_only=true", "--dry_run") == 0
    assert "tokens once" in capsys.readouterr().out and Versions(home).ids() == ["v1"]
    assert run(home, "--head_only=true") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("model: a head on the frozen v1; loss: Bradley-Terry (pairs), binary (thumbs)")
    versions = Versions(home)
    child = versions.open("v2")
    assert child.manifest.recipe["head_only"] is True
    assert child.manifest.metrics["loss"] < math.log(2) and child.manifest.metrics["accuracy"] >= 0.5
    state = load_file(child.folder / "adapter_model.safetensors")
    parents = load_file(versions.open("v1").folder / "adapter_model.safetensors")
    assert set(state) - set(parents) == {
        "base_model.model.score.weight",
        "base_model.model.score.bias",
    }
    assert all(torch.equal(state[name], parents[name].float()) for name in parents)
    # PPO holds the base once for the policy and its reward models: there a score is the same.
    sequences = [list(range(10, end)) for end in (31, 14, 52)]
    parent = open_parent(StageLocation(home=home))
    shared = SharedBase(parent.loaded.model, True, 1.0, 1)
    shared.add_reward("judge", child)
    scores = reward_model.load(child, home)(sequences)
    assert len(set(scores)) == 3
    assert shared.reward("judge", sequences, 8) == pytest.approx(scores, rel=0.02, abs=0.05)


def test_few_judgements_of_a_larger_model_train_the_head_alone_unless_told_otherwise() -> None:
    def decided(parameters: float, count: int, given: bool | None = None) -> bool | None:
        return reward.with_head_only(reward.RewardRecipe(head_only=given), parameters, count).head_only

    assert (decided(135e6, 200), decided(135e6, 1_000), decided(4.9e6, 200)) == (True, False, False)
    assert (decided(135e6, 200, False), decided(4.9e6, 2_000, True)) == (False, True)
    # Who says how an adapter is trained gets one, and is told that a head alone has none.
    assert reward.with_head_only(reward.RewardRecipe(lora_r=8), 135e6, 200).head_only is False
    with pytest.raises(FlagError, match=r"--lora_r, --epochs would say how an adapter is trained"):
        reward.with_head_only(reward.RewardRecipe(head_only=True, lora_r=8, epochs=2), 135e6, 200)


def test_two_splits_share_no_row(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_home(home)
    file = write(tmp_path / "pairs.jsonl", [row(n) for n in numbers(False, 40)])
    counts = []
    for letter in "ab":
        assert run(home, "--pairs", str(file), "--split", letter, "--dry_run") == 0
        lines = capsys.readouterr().out.splitlines()
        line = next(line for line in lines if line.startswith("rows: ") and "pairs" in line)
        counts.append(int(line.split()[1]))
    letters = [half_of(row(n)["messages"]) for n in numbers(False, 40)]
    assert counts == [letters.count("a"), letters.count("b")]
