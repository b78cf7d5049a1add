"""The reward model: one head for pairs and thumbs, honest figures, and a folder that judges and never chats."""

import json
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
from alignment.data.judgements import JudgedCompletion, JudgementCollator, sort_judgements
from alignment.data.splits import half_of
from alignment.errors import DataError
from alignment.scoring import reward_model
from alignment.scoring.reward_metrics import judge
from alignment.stages import reward
from alignment.stages.reward import RewardTrainer
from alignment.training.flags import StageLocation
from alignment.training.parent_version import open_parent
from assistant.errors import VersionError
from assistant.registry.versions import STARTER_FOLDER, Versions

QUICK = ["--min_steps", "6", "--epochs", "1", "--evaluations", "1", "--learning_rate", "1e-3"]


def run(home: Path, *arguments: str) -> int:
    return main(["reward", "--home", str(home), *arguments])


def judged(number: int, first: list[int], second: list[int] | None = None, sign: int = 1) -> JudgedCompletion:
    return JudgedCompletion(row(number)["messages"], 1, first, second, sign)


class Fixed(torch.nn.Module):
    """A model whose score of a sequence is its last token."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, use_cache: bool) -> Any:
        last = input_ids.gather(1, attention_mask.sum(1, keepdim=True) - 1)
        return type("Out", (), {"logits": last.float()})


def loss(*given: JudgedCompletion) -> float:
    batch = JudgementCollator(pad=0)([{"judged": one} for one in given])
    return float(RewardTrainer.compute_loss(object.__new__(RewardTrainer), Fixed(), batch))


def test_a_pairs_loss_is_bradley_and_terrys_and_a_thumbs_is_the_binary_one() -> None:
    def softplus(x: float) -> float:
        return math.log1p(math.exp(x))

    pair = judged(0, [9, 3], [9, 9, 1])
    up, down = judged(1, [9, 2]), judged(2, [9, 2], sign=-1)
    assert loss(pair) == pytest.approx(softplus(-(3 - 1)))
    assert loss(up) == pytest.approx(softplus(-2))
    assert loss(down) == pytest.approx(softplus(2))
    # Together: the mean, each with its own rival, whatever stands between them.
    assert loss(up, pair, down) == pytest.approx((softplus(-2) + softplus(-2) + softplus(2)) / 3)


def test_figures_on_held_out_rows_are_the_closed_forms() -> None:
    rows = [
        judged(0, [1, 5], [1, 2]),
        judged(1, [1, 1], sign=-1),
        judged(2, [1, 7, 3]),
        judged(3, [1, 4], [1, 6]),
    ]
    found = judge(lambda sequences: [float(sequence[-1]) for sequence in sequences], rows)
    chances = [1 / (1 + math.exp(-margin)) for margin in (3, -1, 3, -2)]
    assert found["accuracy"] == 0.5
    low, high = found["accuracy_interval"]
    assert 0.1 < low < 0.2 and low + high == pytest.approx(1)
    assert found["brier"] == pytest.approx(sum((1 - chance) ** 2 for chance in chances) / 4)
    # Sure of 73 %, 88 % and 95 % twice; wrong in the first two.
    assert [(b["right"], b["count"]) for b in found["reliability"]] == [(0.0, 1.0), (0.0, 1.0), (1.0, 2.0)]
    assert found["reliability"][0]["confidence"] == pytest.approx(1 - chances[1])
    assert judge(lambda sequences: [1.0] * len(sequences), rows[:1])["length_correlation"] is None
    assert judge(lambda sequences: [], []) == {}


def test_length_is_told_from_quality() -> None:
    rows = [judged(n, [1] * (n + 2)) for n in range(6)]
    longer = judge(lambda sequences: [float(len(sequence)) for sequence in sequences], rows)
    shorter = judge(lambda sequences: [-float(len(sequence)) for sequence in sequences], rows)
    assert (longer["length_correlation"], shorter["length_correlation"]) == pytest.approx((1, -1))


def test_thumbs_teach_a_judge_that_judges_unseen_replies_and_is_never_served(
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

    # One sequence alone gets the score that it gets among longer ones.
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
    with pytest.raises(DataError, match="v1 is no reward model"):
        reward_model.load(versions.open("v1"), home)


def test_before_training_every_score_is_nought_and_the_adapter_is_the_parents(home: Path) -> None:
    opened = open_parent(StageLocation(home=tiny_home(home)))
    model = reward_model.begin(opened, rank=4, seed=1)
    assert reward_model.Scorer(model)([[5, 6, 7], [8]]) == [0.0, 0.0]
    parents = load_file(opened.version.folder / "adapter_model.safetensors")
    own = dict(model.named_parameters())
    for name, value in parents.items():
        assert torch.equal(own[name.replace(".weight", ".default.weight")], value.float())
    trained = {name for name, weight in own.items() if weight.requires_grad}
    assert all("lora_" in name or "score.modules_to_save" in name for name in trained)
    assert any("score" in name for name in trained)


def test_a_reply_in_a_pair_is_not_heard_a_second_time_as_a_thumb(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate_replies(tiny_home(home), apples(4))
    from alignment.data.token_pairs import TokenPair
    from feedback_store import FeedbackStore, rows

    with FeedbackStore.open(home / "feedback.db") as store:
        thumbs = rows.from_store(store)
    one, other = thumbs[0], thumbs[1]
    pair = TokenPair(one.messages, one.prompt_ids, [1], [2], (one.reply_id, other.reply_id))
    monkeypatch.setattr(reward, "pairs_of_store", lambda rows, tokenizer: [pair])
    place = StageLocation(home=home)
    found, _ = reward.load_judgements(open_parent(place), place, reward.RewardRecipe())
    assert [judged.second is not None for judged in found] == [True, False, False]
    assert {tuple(judged.first) for judged in found[1:]} == {
        tuple(thumb.prompt_ids + thumb.completion_ids) for thumb in thumbs[2:]
    }


def test_two_splits_share_no_row(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_home(home)
    file = write(tmp_path / "pairs.jsonl", [row(n) for n in numbers(False, 40)])
    counted = []
    for letter in "ab":
        assert run(home, "--pairs", str(file), "--split", letter, "--dry_run") == 0
        line = next(
            said
            for said in capsys.readouterr().out.splitlines()
            if said.startswith("rows: ") and "pairs" in said
        )
        counted.append(int(line.split()[1]))
    letters = [half_of(row(n)["messages"]) for n in numbers(False, 40)]
    assert counted == [letters.count("a"), letters.count("b")]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], "There are no judgements yet"),
        ([judged(n, [1, n]) for n in numbers(False, 2)], "All 2 judgements are thumbs up.*give thumbs down"),
        ([judged(numbers(False, 1)[0], [1, 2], sign=-1)], "All 1 judgements are thumbs down.*give thumbs up"),
        ([judged(0, [1, 2], [1, 2])], "1 are tied"),
        ([judged(0, [1] * 30, [1, 2])], "1 are longer than the context window of 10"),
    ],
)
def test_judgements_that_cannot_teach_end_with_advice(given: list[JudgedCompletion], why: str) -> None:
    with pytest.raises(DataError, match=why):
        sort_judgements(given, window=10)


def test_a_pair_alone_is_never_one_sided() -> None:
    found = sort_judgements([judged(numbers(False, 1)[0], [1, 2], [1, 3])], window=10)
    assert (len(found.training), found.too_long) == (1, 0)


def test_curves_are_drawn_where_matplotlib_is_installed(tmp_path: Path) -> None:
    from alignment.training import held_out_curves

    pytest.importorskip("matplotlib")
    state = tmp_path / "trainer_state.json"
    state.write_text(json.dumps({"log_history": [{"loss": 1.0, "step": 1}, {"eval_loss": 0.9, "step": 1}]}))
    held_out_curves.write_curves(state, tmp_path)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
