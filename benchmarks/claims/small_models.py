"""Small models trained from nothing by the project's own stages, on the starter's text and demonstrations."""

import itertools
import json
import random
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config, Qwen3ForCausalLM, set_seed

from alignment.data.demonstration_rows import tokenize_demonstrations
from alignment.data.raw_text import Blocks, join_documents
from alignment.evaluation.answering import EvaluatedAnswer, answer
from alignment.stages import pretrain, sft
from alignment.starter import corpus
from alignment.starter.tasks.drawn_task import Language
from alignment.suites.checkers import CHINESE
from alignment.suites.task_file import Task
from alignment.training.parent_version import new_adapter_of
from alignment.training.sizes import for_size
from assistant.bases.base import STARTER_FOLDER
from assistant.serving.loading import Loaded
from benchmarks.claims.claim import Text
from benchmarks.claims.context import Context
from benchmarks.claims.intervals import Interval, share

BLOCK, WINDOW = 256, 1024
BASE_TOKENS = 4_000 * BLOCK
"""What the 1.2M bases read that several claims share: 1,024,000 tokens, once."""
DOCUMENTS_AT_ONCE = 200
DECLINED = "outside"
"""The kind of question that an assistant should decline."""
TALK = ("concept", "identity", "smalltalk", "outside")
"""Kinds that need no steps. They are asked without thinking, and all others with it."""
KIND_NAMES = {
    "addition": Text("addition", "加法"),
    "subtraction": Text("subtraction", "减法"),
    "multiplication": Text("multiplication", "乘法"),
    "multiplication_hard": Text("hard multiplication", "较难的乘法"),
    "division": Text("division", "除法"),
    "comparison": Text("comparison", "比大小"),
    "ordering": Text("ordering", "排序"),
    "word_one_step": Text("word problem, one step", "一步应用题"),
    "word_two_step": Text("word problem, two steps", "两步应用题"),
    "word_three_step": Text("word problem, three steps", "三步应用题"),
    "calendar": Text("calendar", "日期"),
    "duration": Text("duration", "时长"),
    "concept": Text("concept", "概念"),
    "identity": Text("itself", "它自己"),
    "smalltalk": Text("small talk", "寒暄"),
    "follow_up": Text("follow-up", "追问"),
    "outside": Text("to be declined", "应当婉拒的"),
}
"""The starter's kinds of task, as the documents name them."""


@dataclass(frozen=True)
class Shape:
    """The dimensions of a Qwen3 model."""

    hidden: int
    layers: int
    intermediate: int
    heads: int
    key_value_heads: int
    head_size: int


SHAPES = {
    "0.3M": Shape(48, 4, 108, 2, 1, 32),
    "1.2M": Shape(128, 4, 300, 2, 1, 64),
    "4.9M": Shape(256, 6, 576, 4, 2, 64),
}
"""By number of parameters: 296,368, 1,183,360, and the starter's own 4,886,528. All read the starter's 4,096 tokens."""


def tokenizer() -> Any:
    """The starter's."""
    return AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")


def new_model(size: str, seed: int) -> Any:
    """A model of a size with random weights."""
    shape, words = SHAPES[size], tokenizer()
    set_seed(seed)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(words),
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            intermediate_size=shape.intermediate,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.key_value_heads,
            head_dim=shape.head_size,
            max_position_embeddings=WINDOW,
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )


def raw_text(seed: int, count: int, language: Language | None = None) -> np.ndarray:
    """The first `count` token ids of the starter's endless raw text, of both languages or of one. One dimension."""
    words, texts = tokenizer(), corpus.documents(seed)
    if language is not None:
        texts = (text for text in texts if language_of(text) == language)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < count:
        parts.append(join_documents(itertools.islice(texts, DOCUMENTS_AT_ONCE), words, words.pad_token_id))
    return np.concatenate(parts)[:count]


def language_of(text: str) -> Language:
    """The language of a document. A Chinese one has Chinese characters, also where it is a table of products."""
    return "zh" if CHINESE.search(text) else "en"


def keep_model(folder: Path, make: Callable[[Path], tuple[Any, dict[str, float]]]) -> dict[str, float]:
    """Make a model and save it in `folder`, unless that is there. Returns its metrics.

    `make` gets a folder for checkpoints, from which it goes on after an interruption.
    """
    if not folder.exists():
        work, aside = folder.with_name(f"{folder.name}.work"), folder.with_name(f"{folder.name}.aside")
        shutil.rmtree(aside, ignore_errors=True)
        began = time.monotonic()
        model, metrics = make(work)
        model.config.use_cache = model.generation_config.use_cache = True
        model.save_pretrained(str(aside))
        tokenizer().save_pretrained(str(aside))
        metrics["seconds"] = time.monotonic() - began
        (aside / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
        aside.rename(folder)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return {name: float(value) for name, value in metrics.items()}


def pretrain_model(
    size: str, ids: np.ndarray, seed: int, work: Path, tokens: int | None = None, block: int = BLOCK
) -> tuple[Any, dict[str, float]]:
    """Pretrain a new model on token ids until it has read `tokens` of them: once, if left out. Returns metrics too."""
    recipe = pretrain.PretrainRecipe(
        block_length=block,
        batch_size=8,
        # The starter's.
        learning_rate=4e-3,
        epochs=1 if tokens is None else tokens / len(ids),
        seed=seed,
        save_steps=200,
    )
    model = new_model(size, seed)
    model.config.use_cache = False
    return model, without_checkpoints(work, pretrain.train(model, ids, recipe, work))


def shared_base(context: Context, seed: int, language: Language | None = None) -> Path:
    """The folder of a 1.2M base that has read BASE_TOKENS, of both languages or of one: one for all claims."""
    tokens = 32 * BLOCK if context.quick else BASE_TOKENS
    name = context.shared / f"base-1.2M-{language or 'both'}-{tokens}-{seed}"
    context.shared.mkdir(parents=True, exist_ok=True)
    keep_model(name, lambda work: pretrain_model("1.2M", raw_text(seed, tokens, language), seed, work))
    return name


def precise(folder: Path) -> Any:
    """A model of a folder, in float32."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def ready(model: Any) -> Loaded:
    """A trained model, to let it answer."""
    model.config.use_cache = True
    return Loaded(model.eval().requires_grad_(False), tokenizer(), WINDOW)


def demonstrations(
    seed: int, draw: Callable[[random.Random], str], languages: Sequence[Language] = ("en", "zh")
) -> Iterator[dict[str, Any]]:
    """Endless demonstrations of the training side; `draw` draws the kind of each. Each is one question."""
    rng = random.Random(f"claims {seed} {languages}")
    while True:
        task = corpus.task(rng, rng.choice(list(languages)), draw(rng), "train")
        think = task.kind not in TALK
        yield {
            "messages": list(task.messages),
            "think": think,
            "thought": task.thought if think else "",
            "answer": corpus.spoken_answer(rng, task),
        }


def kinds_by_share(shares: dict[str, float]) -> Callable[[random.Random], str]:
    """Draws kinds of task in the given shares."""
    return lambda rng: rng.choices(list(shares), weights=list(shares.values()))[0]


def fine_tune(
    model: Any, rows: Sequence[dict[str, Any]], seed: int, work: Path, learning_rate: float | None = None
) -> tuple[Any, dict[str, float]]:
    """Train all weights on demonstrations in one pass, at the project's own rate for small models by default."""
    settings = sft.SFTRecipe(full=True, seed=seed, save_steps=200)
    if learning_rate is not None:
        settings.learning_rate = learning_rate
    return _taught(model, rows, for_size(settings, "sft", 1e6), work)


def fine_tune_adapter(
    model: Any, rows: Sequence[dict[str, Any]], recipe: sft.SFTRecipe, work: Path
) -> tuple[Any, dict[str, float]]:
    """Train a new adapter as the recipe says, on top of the frozen `model`."""
    recipe = for_size(recipe, "sft", 1e6)
    return _taught(new_adapter_of(recipe, model), rows, recipe, work)


def _taught(
    model: Any, rows: Sequence[dict[str, Any]], recipe: sft.SFTRecipe, work: Path
) -> tuple[Any, dict[str, float]]:
    dataset, _ = tokenize_demonstrations(rows, tokenizer(), WINDOW)
    return model, without_checkpoints(work, sft.train(model, tokenizer(), dataset, recipe, work))


def without_checkpoints(work: Path, metrics: dict[str, float]) -> dict[str, float]:
    """The metrics of a finished training, whose folder of checkpoints is deleted: a claim trains up to 57 models."""
    shutil.rmtree(work, ignore_errors=True)
    return metrics


@torch.no_grad()
def text_loss(model: Any, ids: np.ndarray, at_most: int, block: int = BLOCK) -> float:
    """Mean cross-entropy in nats of the next token, over at most so many blocks, spread evenly over `ids`."""
    every = Blocks(ids, block).ids
    chosen = np.linspace(0, len(every) - 1, min(at_most, len(every))).astype(int)
    blocks = torch.from_numpy(every[chosen].astype(np.int64))
    model.eval()
    groups = [blocks[start : start + 16] for start in range(0, len(blocks), 16)]
    return sum(float(model(input_ids=rows, labels=rows).loss) * len(rows) for rows in groups) / len(blocks)


def answer_tasks(
    loaded: Loaded, tasks: Sequence[Task], max_new_tokens: int, temperature: float = 0.0, seed: int = 0
) -> list[EvaluatedAnswer]:
    """Answers in order, greedy by default; kinds that need steps are answered with thinking on."""
    answers: dict[int, EvaluatedAnswer] = {}
    for think in (False, True):
        places = [place for place, task in enumerate(tasks) if (task.kind not in TALK) == think]
        if places:
            given = answer(
                loaded, [tasks[place] for place in places], think, max_new_tokens, temperature, seed
            )
            answers |= dict(zip(places, given, strict=True))
    return [answers[place] for place in range(len(tasks))]


def count_right(
    answers: Sequence[EvaluatedAnswer], name: Callable[[Task], str] = lambda task: task.kind
) -> dict[str, list[int]]:
    """By name of the task, how many answers are right, and how many there are: JSON values."""
    counts: dict[str, list[int]] = {}
    for each in answers:
        right, of = counts.get(name(each.task), [0, 0])
        counts[name(each.task)] = [right + each.correct, of + 1]
    return counts


def pooled(counts: Iterable[Sequence[int]]) -> Interval:
    """The share of right answers in several pairs of `count_right`, with Wilson's interval."""
    pairs = list(counts)
    return share(sum(right for right, _ in pairs), sum(of for _, of in pairs))


def declined(seeds: list[dict[str, list[int]]]) -> Text:
    """Says how many of the right answers are declined questions, if there are any: they are learned first.

    `seeds`: right answers and tasks by the kind of task, for each seed.
    """
    right = {kind: sum(seed[kind][0] for seed in seeds) for kind in seeds[0]}
    part = right.get(DECLINED, 0) / max(1, sum(right.values()))
    if not part:
        return Text("", "")
    return Text(
        f" ({100 * part:.0f} % of what is right is declining a question that it should decline)",
        f"（答对的里面 {100 * part:.0f}% 是该婉拒的问题）",
    )
