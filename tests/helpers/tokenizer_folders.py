"""Folders with a small tokenizer each, built and configured as the tokenizers of well-known models are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

TEXT = [
    "The quick brown fox jumps over the lazy dog, and it's 12 or 345 times that they've done so.",
    "def render(messages):\n    return [message['content'] for message in messages]\n\n",
    "今天天气很好，我们去公园散步吧。你好，世界！",
    "Wo ist der Bahnhof? ¿Dónde está? C'est très bien.",
] * 20
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|DIGITS"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Namespaces, slices, string methods, tool definitions: what Qwen3's own template uses.
QWEN3 = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}{{- tools | tojson }}{{- '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
        {%- break %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "system" %}
        {{- '<|im_start|>system\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content %}
        {%- if '</think>' in content %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and loop.last %}
            {{- '<|im_start|>assistant\\n<think>\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>assistant\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""
LLAMA3 = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%Y") %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Today's year: " + date_string + "\\n\\n" + system_message + "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}"""
GEMMA = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- set role = "model" if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {{ message['content'] | trim }}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{'<start_of_turn>model\\n'}}{%- endif -%}"""
# Marks what an assistant wrote, as templates that are trained on do.
SMOLLM3 = """{# a comment #}
{%- set settings = dict(thinking=enable_thinking | default(true)) %}
{%- for message in messages %}
    {%- if message.role == "assistant" %}
        {% generation %}{%- set shown = message.content.strip() %}
        {{- "<|im_start|>assistant\\n" + shown + "<|im_end|>\\n" }}{% endgeneration %}
    {%- else %}
        {{- "<|im_start|>" ~ message.role ~ "\\n" ~ message.content ~ "<|im_end|>\\n" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "<|im_start|>assistant\\n" }}{% if not settings.thinking %}{{ "<think>\\n\\n</think>\\n" }}{% endif %}
{%- endif %}"""


def trained(
    model: Any, trainer: type, pre_tokenizer: Any, normalizer: Any = None, **options: Any
) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.train_from_iterator(TEXT, trainer(show_progress=False, **options))
    return tokenizer


def byte_level(specials: list[str], *splits: Any, normalizer: Any = None) -> Tokenizer:
    last = pre_tokenizers.ByteLevel(
        add_prefix_space=False, use_regex=not any("Split" in repr(s) for s in splits)
    )
    tokenizer = trained(
        models.BPE(),
        trainers.BpeTrainer,
        pre_tokenizers.Sequence([*splits, last]),
        normalizer,
        vocab_size=600,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def split(digits: str) -> Any:
    return pre_tokenizers.Split(Regex(WORDS.replace("DIGITS", digits)), "isolated")


def save(folder: Path, tokenizer: Tokenizer, tokenizer_config: dict[str, Any], **files: Any) -> Path:
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config), encoding="utf-8")
    for name, content in files.items():
        if name == "chat_template":
            (folder / "chat_template.jinja").write_text(content, encoding="utf-8")
        else:
            (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def added(tokenizer: Tokenizer, *plain: str) -> dict[str, Any]:
    """`added_tokens_decoder` of a configuration: what was added already, and more that is no control token."""
    known = {
        str(number): {
            name: getattr(token, name) for name in ("content", "lstrip", "normalized", "rstrip", "special")
        }
        for number, token in tokenizer.get_added_tokens_decoder().items()
    }
    size = tokenizer.get_vocab_size()
    more = {
        str(size + number): {
            "content": text,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "special": False,
        }
        for number, text in enumerate(plain)
    }
    return known | more


def qwen2(folder: Path) -> Path:
    tokenizer = byte_level(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], split(r"\p{N}"), normalizer=normalizers.NFC()
    )
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "added_tokens_decoder": added(tokenizer),
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "chat_template": CHATML,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
    }
    return save(folder, tokenizer, config, config={"model_type": "qwen2"})


def qwen3(folder: Path) -> Path:
    tokenizer = byte_level(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], split(r"\p{N}"), normalizer=normalizers.NFC()
    )
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "added_tokens_decoder": added(tokenizer, "<think>", "</think>"),
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False,
    }
    return save(folder, tokenizer, config, config={"model_type": "qwen3"}, chat_template=QWEN3)


def smollm2(folder: Path) -> Path:
    """An older folder: special tokens in a file of their own, no list of added tokens, a list of templates."""
    tokenizer = byte_level(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], pre_tokenizers.Digits(individual_digits=True)
    )
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return save(
        folder,
        tokenizer,
        {"tokenizer_class": "GPT2Tokenizer", "chat_template": [{"name": "default", "template": CHATML}]},
        special_tokens_map={
            "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
            "bos_token": {"content": "<|im_start|>", **flags},
            "eos_token": {"content": "<|im_end|>", **flags},
            "pad_token": "<|im_end|>",
            "unk_token": "<|endoftext|>",
        },
        added_tokens={"<|im_start|>": 1, "<extra>": tokenizer.get_vocab_size()},
        config={"model_type": "llama"},
    )


def smollm3(folder: Path) -> Path:
    tokenizer = byte_level(["<|begin_of_text|>", "<|im_start|>", "<|im_end|>"], split(r"\p{N}{1,3}"))
    tokenizer.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False)])
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>"}
    return save(folder, tokenizer, config, config={"model_type": "smollm3"}, chat_template=SMOLLM3)


def llama3(folder: Path) -> Path:
    specials = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = byte_level(specials, split(r"\p{N}{1,3}"))
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]
            ),
        ]
    )
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "added_tokens_decoder": added(tokenizer),
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|eot_id|>",
        "clean_up_tokenization_spaces": True,
        "chat_template": LLAMA3,
    }
    return save(folder, tokenizer, config, config={"model_type": "llama"})


def gemma3(folder: Path) -> Path:
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    tokenizer = trained(
        models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True),
        trainers.BpeTrainer,
        pre_tokenizers.Split(" ", "merged_with_previous"),
        normalizers.Replace(" ", "▁"),
        vocab_size=600,
        special_tokens=[*specials, *(f"<0x{byte:02X}>" for byte in range(256))],
    )
    # The bytes are ordinary entries of the vocabulary, not special tokens as the trainer makes them.
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] in specials]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("    ", normalized=False)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    config = {
        "tokenizer_class": "GemmaTokenizer",
        "added_tokens_decoder": added(tokenizer),
        "bos_token": {"__type": "AddedToken", **added(tokenizer)["2"]},
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "extra_special_tokens": {"boi_token": "<start_of_image>"},
        "add_bos_token": True,
    }
    return save(folder, tokenizer, config, config={"model_type": "gemma3_text"}, chat_template=GEMMA)


def llama2(folder: Path) -> Path:
    """Whole words marked at their beginning, bytes for what the vocabulary lacks, no template."""
    specials = ["<unk>", "<s>", "</s>"]
    tokenizer = trained(
        models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True),
        trainers.BpeTrainer,
        pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False),
        vocab_size=600,
        special_tokens=[*specials, *(f"<0x{byte:02X}>" for byte in range(256))],
    )
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] in specials]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    config = {
        "tokenizer_class": "LlamaTokenizer",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "legacy": False,
    }
    return save(folder, tokenizer, config, config={"model_type": "llama"})


def unigram(folder: Path) -> Path:
    """A unigram model whose decoded spaces are cleaned up."""
    tokenizer = trained(
        models.Unigram(),
        trainers.UnigramTrainer,
        pre_tokenizers.Metaspace(),
        normalizers.NFKC(),
        vocab_size=300,
        special_tokens=["<unk>", "</s>"],
        unk_token="<unk>",
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=12)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "</s>",
        "sep_token": "<sep>",
        "clean_up_tokenization_spaces": True,
    }
    return save(folder, tokenizer, config, config={"model_type": "llama"})


FOLDERS: dict[str, Callable[[Path], Path]] = {
    "qwen2": qwen2,
    "qwen3": qwen3,
    "smollm2": smollm2,
    "smollm3": smollm3,
    "llama3": llama3,
    "gemma3": gemma3,
    "llama2": llama2,
    "unigram": unigram,
}
