"""The README.md of an exported version: what the Hub reads in its header, and what people want to know.

Nothing in it names a place on this machine, a person, or a text that somebody wrote.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from alignment.export.destinations import Format, hub_base, hub_file
from assistant.bases.card_lookup import card_of, model_name
from assistant.events.describe import describe
from assistant.events.event import event_from
from assistant.registry.versions import Manifest

_STAGES = {
    "pretrain": "next-token prediction",
    "sft": "supervised fine-tuning on demonstrations",
    "reward": "training as a reward model: it scores replies and writes none",
    "dpo": "direct preference optimisation on pairs of answers",
    "kto": "KTO on thumbs up and down",
    "rloo": "REINFORCE leave-one-out on a reward",
    "ppo": "proximal policy optimisation on a reward",
}


def export_card(lineage: Sequence[Manifest], kind: Format, files: Sequence[str], name: str) -> str:
    """The card's text.

    `lineage`: the version's manifest, its parent's and so on. `files`: names of what lies beside the card. `name`: of
    the exported model.
    """
    manifest, base = lineage[0], lineage[0].base
    card = card_of(base.name)
    header: dict[str, Any] = {
        "base_model": hub_base(base),
        "language": list(card.languages),
        "license": card.licence,
        "library_name": {"peft": "peft", "merged": "transformers", "gguf": "gguf"}[kind],
        "pipeline_tag": "text-generation" if manifest.stage != "reward" else "text-classification",
        "tags": ["thumbtune", *([manifest.stage] if manifest.stage in _STAGES else [])],
    }
    parts = [
        "---\n"
        + yaml.safe_dump({key: value for key, value in header.items() if value}, sort_keys=False)
        + "---",
        f"# {name}",
        f"Version {manifest.id} of {model_name(base.name) if hub_base(base) is None else hub_base(base)}, "
        f"{_origin(manifest)}, written by Thumbtune on {manifest.created[:10]}.",
        "## Use\n\n" + _usage(manifest, kind, files, name),
        "## How it was made\n\n" + "\n".join(f"- {_step(ancestor)}" for ancestor in reversed(lineage)),
    ]
    if manifest.gate is not None:
        parts.append("## Evaluation\n\n" + _evaluation(manifest.gate))
    return "\n\n".join(parts) + "\n"


def _origin(manifest: Manifest) -> str:
    if manifest.stage in _STAGES:
        return f"made by {_STAGES[manifest.stage]}"
    return "as it was brought in"


def _step(manifest: Manifest) -> str:
    """One line on how a version came to be."""
    made = _STAGES.get(manifest.stage, "brought in from elsewhere")
    facts = [made]
    counts = {name: value for name, value in manifest.data.items() if _is_count(value)}
    if counts:
        facts.append(
            "data: " + ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in counts.items())
        )
    names = ("learning_rate", "epochs", "batch_size", "beta", "lora_r", "lora_alpha", "seed")
    recipe = {name: manifest.recipe[name] for name in names if manifest.recipe.get(name) is not None}
    if recipe:
        facts.append("recipe: " + ", ".join(f"{name} {value:g}" for name, value in recipe.items()))
    return f"{manifest.id}: {'; '.join(facts)}"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _evaluation(gate: Mapping[str, Any]) -> str:
    events = [
        event_from(reason.get("event")) for reason in gate.get("reasons", []) if isinstance(reason, Mapping)
    ]
    lines = [f"- {describe(event)}" for event in events if event is not None]
    verdict = (
        f"Compared with {gate.get('released')} on the same held-out prompts; verdict: {gate.get('verdict')}."
    )
    return "\n".join([verdict, "", *lines]) if lines else verdict


def _usage(manifest: Manifest, kind: Format, files: Sequence[str], name: str) -> str:
    base = manifest.base
    if kind == "peft":
        auto = "AutoModelForSequenceClassification" if manifest.stage == "reward" else "AutoModelForCausalLM"
        labels = ", num_labels=1" if manifest.stage == "reward" else ""
        in_file = hub_file(base)
        where = f'"{hub_base(base) or "FOLDER OF THE BASE"}"'
        if in_file:
            where = f'"{in_file[0]}", gguf_file="{in_file[1]}"'
        return (
            f"The adapter was trained on the weights of {_weights(manifest)}.\n\n"
            f"```python\nfrom peft import PeftModel\nfrom transformers import {auto}\n\n"
            f"base = {auto}.from_pretrained({where}{labels})\n"
            'model = PeftModel.from_pretrained(base, ".")\n```'
        )
    if kind == "merged":
        return (
            "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            'model = AutoModelForCausalLM.from_pretrained(".")\ntokenizer = AutoTokenizer.from_pretrained(".")\n```'
        )
    file = next(name for name in files if name.endswith(".gguf"))
    if "Modelfile" in files:
        return (
            f"```bash\nllama-server -m {file} --jinja\nollama create {name.lower()} -f Modelfile && ollama run "
            f"{name.lower()}\n```"
        )
    return (
        f"The adapter alone, for a GGUF file of {_weights(manifest)}.\n\n"
        f"```bash\nllama-server -m BASE.gguf --lora {file} --jinja\n```"
    )


def _weights(manifest: Manifest) -> str:
    """The base's name, with what tells it from others of that name."""
    base = manifest.base
    bits = f", held in {base.quantize} by bitsandbytes" if base.quantize else ""
    revision = f" (revision {base.revision[:12]})" if base.revision else ""
    return f"{model_name(base.name)}{revision}{bits}"
