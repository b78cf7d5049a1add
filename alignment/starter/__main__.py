"""Make the starter from nothing: corpus → tokenizer → base → first course → second course.

    python -m alignment.starter build [--folder build/starter]
    python -m alignment.starter suite [--folder assistant/starter]

Every step is skipped where its result exists, and training goes on from its last checkpoint, so a killed
build is continued by the same command. `install` copies the result to `assistant/starter`. `suite` writes the
evaluation suite, the practice tasks and the fixed texts, which need no model.
"""

import argparse
import itertools
import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config, Qwen3ForCausalLM, set_seed

from alignment.data.demonstration_rows import tokenize_demonstrations
from alignment.data.json_lines import rows_hash
from alignment.data.raw_text import join_documents
from alignment.stages import pretrain, sft
from alignment.starter import card, corpus, practice, suite_files, tokenizer
from alignment.training.output_version import libraries, save_adapter
from alignment.training.parent_version import new_adapter_of
from alignment.training.sizes import for_size
from assistant.bases.base import STARTER, STARTER_FOLDER, Base, folder_hash
from assistant.serving.peft_compat import name_base
from feedback_store.atomic_files import write_atomically

TOKENIZER_TEXTS = 40_000
"""Number of documents, and of rows, that the tokenizer learns its merges from."""


@dataclass
class StarterRecipe:
    """Every setting that determines the starter."""

    vocabulary: int = 4096
    hidden: int = 256
    layers: int = 6
    intermediate: int = 576
    heads: int = 4
    """Of 64 dimensions each: few wide heads run faster on a CPU than many narrow ones."""
    key_value_heads: int = 2
    window: int = 1024
    block: int = 512
    """Length of a block of raw text, half the window; the long conversations of SFT train the other positions."""
    pretrain_tokens: int = 14_000_000
    pretrain_learning_rate: float = 4e-3
    demonstrations: int = 100_000
    sft_learning_rate: float = 6e-3
    practised: int = 48_000
    """Demonstrations of the second course, which continues the first's adapter."""
    practised_learning_rate: float = 3e-3
    """Half of the first course's, so that what that taught is kept."""
    seed: int = 1


def build(recipe: StarterRecipe, folder: Path, compile_model: bool) -> None:
    """Make base and adapter in `folder`. Steps whose result exists are skipped."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "recipe.json"
    wanted = json.loads(json.dumps(asdict(recipe)))
    if settings.exists() and json.loads(settings.read_text(encoding="utf-8")) != wanted:
        raise SystemExit(f"{folder} was begun with another recipe. Delete it, or give another --folder.")
    write_atomically(settings, json.dumps(wanted, indent=2) + "\n")
    _make_tokenizer(recipe, folder)
    _make_base(recipe, folder, compile_model)
    _make_taught(recipe, folder)
    _make_adapter(recipe, folder)
    print(f"built in {folder}; install it with: python -m alignment.starter install --folder {folder}")


def install(folder: Path, target: Path = STARTER_FOLDER) -> None:
    """Copy a finished build to the folder from which the app loads its starter."""
    for part in ("base", "adapter"):
        if not (folder / part).is_dir():
            raise SystemExit(f"{folder} holds no {part}. Run `python -m alignment.starter build` first.")
    for part in ("base", "adapter"):
        shutil.rmtree(target / part, ignore_errors=True)
        shutil.copytree(folder / part, target / part)


def _make_tokenizer(recipe: StarterRecipe, folder: Path) -> None:
    if (folder / "tokenizer").exists():
        return
    print(f"tokenizer: learning from {TOKENIZER_TEXTS:,} documents and {TOKENIZER_TEXTS:,} rows")
    texts = itertools.islice(corpus.documents(recipe.seed), TOKENIZER_TEXTS)
    rows = itertools.islice(corpus.rows(recipe.seed, ask=corpus.balanced), TOKENIZER_TEXTS)
    conversations = (
        "\n".join([message["content"] for message in row["messages"]] + [row["answer"]]) for row in rows
    )
    trained = tokenizer.train(itertools.chain(texts, conversations), recipe.vocabulary)
    _write_folder(folder / "tokenizer", lambda aside: trained.save_pretrained(str(aside)))


def _make_base(recipe: StarterRecipe, folder: Path, compile_model: bool) -> None:
    if (folder / "base").exists():
        return
    words = AutoTokenizer.from_pretrained(folder / "tokenizer")
    ids = _raw_ids(recipe, folder, words)
    set_seed(recipe.seed)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(words),
            hidden_size=recipe.hidden,
            num_hidden_layers=recipe.layers,
            intermediate_size=recipe.intermediate,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.key_value_heads,
            head_dim=64,
            max_position_embeddings=recipe.window,
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
            tie_word_embeddings=True,
            use_cache=False,
            bos_token_id=None,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )
    print(f"base: {sum(p.numel() for p in model.parameters()):,} parameters on {len(ids):,} tokens")
    settings = pretrain.PretrainRecipe(
        block_length=recipe.block,
        batch_size=8,
        learning_rate=recipe.pretrain_learning_rate,
        seed=recipe.seed,
        save_steps=200,
        compile=compile_model,
    )
    metrics = pretrain.train(model, ids, settings, folder / "pretrain")
    model.config.use_cache = model.generation_config.use_cache = True

    def save(aside: Path) -> None:
        # bfloat16 keeps the file under 10 MB, which plain git and Spaces accept.
        model.to(torch.bfloat16).save_pretrained(str(aside))
        words.save_pretrained(str(aside))
        (aside / "made.json").write_text(json.dumps({"metrics": metrics}, indent=2) + "\n", encoding="utf-8")

    _write_folder(folder / "base", save)


def _raw_ids(recipe: StarterRecipe, folder: Path, words: Any) -> np.ndarray:
    path = folder / "raw.npy"
    if path.exists():
        return np.load(path)
    parts: list[np.ndarray] = []
    texts = corpus.documents(recipe.seed)
    with tqdm(total=recipe.pretrain_tokens, desc="raw text", unit="tok", unit_scale=True) as progress:
        while progress.n < recipe.pretrain_tokens:
            parts.append(join_documents(itertools.islice(texts, 2000), words, words.pad_token_id))
            progress.update(len(parts[-1]))
    ids = np.concatenate(parts)[: recipe.pretrain_tokens]
    np.save(path, ids)
    return ids


def _make_taught(recipe: StarterRecipe, folder: Path) -> None:
    if (folder / "taught").exists():
        return
    settings = _course(recipe.sft_learning_rate, recipe.seed)
    model = new_adapter_of(settings, _precise_base(folder))
    rows = list(itertools.islice(corpus.rows(settings.seed), recipe.demonstrations))
    _teach(recipe, settings, model, rows, folder, "taught", {})


def _make_adapter(recipe: StarterRecipe, folder: Path) -> None:
    if (folder / "adapter").exists():
        return
    settings = _course(recipe.practised_learning_rate, recipe.seed + 1)
    model = PeftModel.from_pretrained(_precise_base(folder), str(folder / "taught"), is_trainable=True)
    # The adapter names its base, and PEFT would look for that name on the Hub when it saves a checkpoint.
    name_base(model, str(folder / "base"))
    rows = list(itertools.islice(corpus.rows(settings.seed, ask=practice.practised), recipe.practised))
    taught = json.loads((folder / "taught" / "made.json").read_text(encoding="utf-8"))
    first = {"continues": {**taught["data"], "metrics": taught["metrics"]}}
    _teach(recipe, settings, model, rows, folder, "adapter", first)


def _course(learning_rate: float, seed: int) -> sft.SFTRecipe:
    recipe = sft.SFTRecipe(optimizer="muon", learning_rate=learning_rate, seed=seed, save_steps=200)
    return for_size(recipe, "sft", parameters=5e6)


def _precise_base(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)


def _teach(
    recipe: StarterRecipe,
    settings: sft.SFTRecipe,
    model: Any,
    rows: list[dict[str, Any]],
    folder: Path,
    name: str,
    before: dict[str, Any],
) -> None:
    """Train on `rows` and write the adapter `name` with its record; `before` adds the parent's part to the record."""
    words = AutoTokenizer.from_pretrained(folder / "base")
    dataset, too_long = tokenize_demonstrations(rows, words, recipe.window)
    print(f"{name}: rank {settings.lora_r} on {len(dataset):,} demonstrations, {too_long} too long")
    metrics = sft.train(model, words, dataset, settings, folder / f"sft-{name}")
    data = {"hash": rows_hash(rows), "demonstrations": len(dataset), "too_long": too_long}
    made = {
        "stage": "sft",
        "recipe": {"starter": asdict(recipe), "sft": {**asdict(settings), "demonstrations": None}},
        "seed": settings.seed,
        "data": data | before,
        "libraries": libraries(),
        "metrics": metrics,
    }

    def save(aside: Path) -> None:
        save_adapter(model, Base(STARTER, folder_hash(folder / "base")), aside)
        (aside / "made.json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")

    _write_folder(folder / name, save)


def _write_folder(target: Path, save: Any) -> None:
    aside = target.with_name(f".{target.name}-{time.time_ns()}")
    aside.mkdir()
    try:
        save(aside)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def main(arguments: list[str] | None = None) -> None:
    """Command line: build, install, suite, card."""
    parser = argparse.ArgumentParser(prog="python -m alignment.starter", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    written = commands.add_parser("card", help="write the model card from records and an evaluation")
    written.add_argument(
        "--evaluation", type=Path, required=True, help="JSON of `python -m alignment evaluate`"
    )
    written.add_argument("--base", type=Path, required=True, help="the same with --base")
    written.add_argument(
        "--sampled", type=Path, required=True, help="the same with --temperature and --samples"
    )
    written.add_argument(
        "--hand-worded", type=Path, required=True, help="the same with the suite hand_worded.jsonl"
    )
    written.add_argument("--machine", required=True, help="what the build ran on, in words")
    written.add_argument("--date", required=True, help="of the evaluation")
    suites = commands.add_parser("suite", help="write evaluation suite, practice tasks and fixed texts")
    suites.add_argument("--folder", type=Path, default=STARTER_FOLDER)
    for name, help_text in (("build", "make base and adapter"), ("install", "copy a build into the app")):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("--folder", type=Path, default=Path("build/starter"))
        if name == "build":
            command.add_argument(
                "--compile", action="store_true", help="use torch.compile (needs a C++ compiler)"
            )
            command.add_argument("--pretrain-tokens", type=int, default=StarterRecipe.pretrain_tokens)
            command.add_argument("--demonstrations", type=int, default=StarterRecipe.demonstrations)
            command.add_argument("--practised", type=int, default=StarterRecipe.practised)
    options = parser.parse_args(arguments)
    if options.command == "card":
        print(
            card.write(
                options.evaluation,
                options.base,
                options.sampled,
                options.hand_worded,
                options.machine,
                options.date,
            )
        )
    elif options.command == "install":
        install(options.folder)
    elif options.command == "suite":
        print(*suite_files.write(options.folder), sep="\n")
    else:
        recipe = StarterRecipe(
            pretrain_tokens=options.pretrain_tokens,
            demonstrations=options.demonstrations,
            practised=options.practised,
        )
        build(recipe, options.folder, options.compile)


if __name__ == "__main__":
    main()
