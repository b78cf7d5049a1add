"""Compare Muon with AdamW on the starter's text: held-out loss after equally many tokens, and the seconds.

    python -m benchmarks.training.optimizers [--tokens 600000]

Each optimiser is tried at several learning rates, from the same initial weights, on the same blocks in the same order.
"""

import argparse
import itertools
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, set_seed

from alignment.data.raw_text import Blocks, join_documents
from alignment.stages.pretrain import PretrainRecipe, train
from alignment.starter import corpus
from assistant.bases.base import STARTER_FOLDER
from assistant.serving.loading import quiet_libraries

TRIALS = (("adamw", 1e-3), ("adamw", 2e-3), ("adamw", 4e-3), ("muon", 2e-3), ("muon", 4e-3), ("muon", 8e-3))
HELD_OUT_TOKENS = 32_768


def held_out_loss(model: torch.nn.Module, ids: np.ndarray) -> float:
    """Mean cross-entropy of next tokens in nats."""
    blocks = Blocks(ids, 512)
    with torch.inference_mode():
        losses = [
            model(input_ids=block["input_ids"][None], labels=block["labels"][None]).loss.item()
            for block in (blocks[i] for i in range(len(blocks)))
        ]
    return sum(losses) / len(losses)


def main() -> None:
    """Run the trials; print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=600_000)
    options = parser.parse_args()
    quiet_libraries()
    words = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")
    config = AutoConfig.from_pretrained(STARTER_FOLDER / "base", dtype="float32")
    ids = join_documents(
        itertools.islice(corpus.documents(1), options.tokens // 100), words, words.pad_token_id
    )
    unseen = join_documents(itertools.islice(corpus.documents(2), 2000), words, words.pad_token_id)[
        :HELD_OUT_TOKENS
    ]
    print(f"{'optimiser':<12}{'rate':>8}{'held-out loss':>16}{'seconds':>10}")
    for optimizer, rate in TRIALS:
        set_seed(1)
        model = AutoModelForCausalLM.from_config(config)
        recipe = PretrainRecipe(block_length=512, batch_size=8, optimizer=optimizer, learning_rate=rate)
        with tempfile.TemporaryDirectory() as folder:
            metrics = train(model, ids[: options.tokens], recipe, Path(folder))
        loss = held_out_loss(model.eval(), unseen)
        print(f"{optimizer:<12}{rate:>8.0e}{loss:>16.3f}{metrics['seconds']:>10.0f}", flush=True)


if __name__ == "__main__":
    main()
