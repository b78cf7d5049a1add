"""A model's tokenizer and chat template from its folder, on the packages `tokenizers` and `jinja2` alone.

Serving by llama.cpp or by another server needs no model library: this class gives token for token what transformers'
`PreTrainedTokenizerFast` gives on the same folder, with which `loading.load_tokenizer` trains.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import tokenizers
from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from assistant.errors import ModelError

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Special tokens that every tokenizer may name. Others have names of their own, which end in "_token" too."""

_CLEANED = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")
"""Texts whose spaces are removed after decoding, where a tokenizer is configured so."""


@dataclass(frozen=True)
class Encoded:
    """A text as token ids."""

    input_ids: list[int]


class ChatTokenizer:
    """The tokenizer of a model folder, with the methods that `tokenizing.tokenizer_protocol.Tokenizer` lists."""

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        named: Mapping[str, str],
        chat_template: str | None,
        clean_up: bool = False,
    ) -> None:
        """`named`: special tokens by their names. `clean_up`: whether `decode` removes spaces before punctuation.

        If there is no pad token, END pads. Raises ModelError if the template is not valid Jinja.
        """
        self._backend = backend
        self._named = dict(named)
        if "pad_token" not in named and "eos_token" in named:
            self._named["pad_token"] = named["eos_token"]
        self._clean_up = clean_up
        self.chat_template = chat_template
        try:
            self._template = None if chat_template is None else _ENVIRONMENT.from_string(chat_template)
        except TemplateError as error:
            raise ModelError(
                f"The model's chat template is not valid: {error}. Correct its chat_template.jinja."
            ) from error

    @classmethod
    def read(cls, folder: Path) -> "ChatTokenizer":
        """The tokenizer in a model folder: `tokenizer.json`, with the files of its configuration and templates.

        Raises ModelError if one of them is missing or damaged.
        """
        path = folder / "tokenizer.json"
        if not path.exists():
            raise ModelError(
                f"The model in {folder} has no tokenizer.json, and no other kind of tokenizer is read without "
                f"transformers. Write one there: AutoTokenizer.from_pretrained('{folder}').save_pretrained('{folder}')."
            )
        try:
            backend = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the package raises nothing more specific
            raise ModelError(f"The tokenizer {path} cannot be read: {error}. Download it again.") from error
        config = _read_settings(folder)
        if backend.padding is not None:
            config.setdefault("pad_token", backend.padding["pad_token"])
        named = _add_tokens(backend, config, folder)
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = bool(config.get("split_special_tokens", False))
        clean_up = bool(config.get("clean_up_tokenization_spaces")) and not isinstance(
            backend.model, tokenizers.models.BPE
        )
        return cls(backend, named, read_chat_template(folder, config), clean_up)

    @property
    def eos_token_id(self) -> int | None:
        """The token that ends a reply."""
        return self._id("eos_token")

    @property
    def pad_token_id(self) -> int | None:
        """The token that fills up short rows of a batch."""
        return self._id("pad_token")

    @property
    def vocab_size(self) -> int:
        """Number of tokens without the added ones."""
        return int(self._backend.get_vocab_size(with_added_tokens=False))

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """Id → `tokenizers.AddedToken` of the tokens that were added to the vocabulary, control tokens among them."""
        return dict(self._backend.get_added_tokens_decoder())

    def __call__(self, text: str, add_special_tokens: bool = True) -> Encoded:
        """The token ids of a text; with `add_special_tokens`, after the token that begins one, if the model has it."""
        return Encoded(list(self._backend.encode(text, add_special_tokens=add_special_tokens).ids))

    def decode(self, token_ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """The text of token ids."""
        text = str(self._backend.decode(list(token_ids), skip_special_tokens=skip_special_tokens))
        for spaced in _CLEANED if self._clean_up else ():
            text = text.replace(spaced, spaced.strip())
        return text

    def convert_ids_to_tokens(self, ids: int) -> str | None:
        """The token with this id as the vocabulary spells it; None if there is none."""
        token: str | None = self._backend.id_to_token(ids)
        return token

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, Any]],
        add_generation_prompt: bool = False,
        tokenize: bool = True,
        return_dict: bool = False,
        **switches: Any,
    ) -> list[int]:
        """Token ids of a conversation, written by the model's chat template.

        `conversation`: {"role", "content"} each. `switches` are variables of the template. `tokenize` and `return_dict`
        exist for callers that may hold a transformers tokenizer too; they have the values that they have here. Raises
        jinja2's TemplateError if the template refuses the conversation.
        """
        if not tokenize or return_dict:
            raise ValueError("ChatTokenizer gives token ids alone: tokenize=True, return_dict=False.")
        if self._template is None:
            raise ValueError("The model has no chat template.")
        text = self._template.render(
            **self._named
            | {
                "messages": [dict(message) for message in conversation],
                "tools": None,
                "documents": None,
                "add_generation_prompt": add_generation_prompt,
            }
            | switches
        )
        return self(text, add_special_tokens=False).input_ids

    def _id(self, name: str) -> int | None:
        number: int | None = self._backend.token_to_id(self._named[name]) if name in self._named else None
        return number


def read_chat_template(folder: Path, config: Mapping[str, Any]) -> str | None:
    """The chat template of a model folder; of several, the one that is named "default". None if there is none.

    Files come before the template in `config`, the folder's tokenizer configuration.
    """
    path = folder / "chat_template.jinja"
    if path.exists():
        return path.read_text(encoding="utf-8")
    if any((folder / "additional_chat_templates").glob("*.jinja")):
        return None
    template = config.get("chat_template")
    if isinstance(template, list):
        template = {entry["name"]: entry["template"] for entry in template}
    if isinstance(template, dict):
        template = template.get("default")
    return template


def _read_settings(folder: Path) -> dict[str, Any]:
    """The tokenizer's configuration, with what older folders keep in `special_tokens_map.json`."""
    config = _read_json(folder / "tokenizer_config.json")
    if "added_tokens_decoder" not in config:
        config |= _read_json(folder / "special_tokens_map.json")
    return config


def _add_tokens(backend: tokenizers.Tokenizer, config: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Add the configuration's tokens to those of `tokenizer.json`; returns the named ones, as texts.

    What the configuration says of a token, such as that it is special, holds for one in `tokenizer.json` too.
    """
    extra = config.get("extra_special_tokens") or config.get("additional_special_tokens") or []
    own = {
        name: value
        for name, value in config.items()
        if name not in NAMED and name.endswith("_token") and isinstance(value, str | dict)
    }
    if isinstance(extra, dict):
        own, extra = own | extra, []
    named = {name: config[name] for name in NAMED if config.get(name) is not None} | own
    texts = {name: _content(value) for name, value in named.items()}

    listed = config.get("added_tokens_decoder")
    if listed is not None:
        tokens = [_added(entry) for _, entry in sorted(listed.items(), key=lambda item: int(item[0]))]
    else:
        special = {*texts.values(), *(_content(value) for value in extra)}
        by_id = {
            number: tokenizers.AddedToken(text, normalized=text not in special, special=text in special)
            for text, number in _read_json(folder / "added_tokens.json").items()
        }
        by_id |= backend.get_added_tokens_decoder()
        tokens = [token for _, token in sorted(by_id.items())]
    for token in tokens:
        token.special = token.special or token.content in texts.values()
    present = {token.content for token in [*backend.get_added_tokens_decoder().values(), *tokens]}
    for value in [*named.values(), *extra]:
        if _content(value) not in present:
            token = _added(value) if isinstance(value, dict) else tokenizers.AddedToken(value, special=True)
            token.special = token.special or value not in extra
            tokens.append(token)
    if tokens:
        backend.add_tokens(tokens)
    return texts


def _content(value: str | Mapping[str, Any]) -> str:
    return value if isinstance(value, str) else str(value["content"])


def _added(entry: Mapping[str, Any]) -> tokenizers.AddedToken:
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return tokenizers.AddedToken(entry["content"], **{flag: entry[flag] for flag in flags if flag in entry})


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one if there is no such file. Raises ModelError if it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise ModelError(f"The tokenizer's {path} cannot be read: {error}. Download it again.") from error
    if not isinstance(content, dict):
        raise ModelError(f"The tokenizer's {path} is no JSON object. Download it again.")
    return content


# What a template may use. Templates come from whoever made the model, so that they run in Jinja's sandbox.


class _Generation(Extension):
    """`{% generation %}` … `{% endgeneration %}`, which marks an assistant's text for training: here only its text."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(
            line
        )


class _Dict:
    """`dict` of templates: makes dictionaries and, unlike the type itself, gives no way to other types."""

    def __call__(self, *arguments: Any, **entries: Any) -> dict[Any, Any]:
        return dict(*arguments, **entries)

    def fromkeys(self, *arguments: Any) -> dict[Any, Any]:
        return dict.fromkeys(*arguments)


class _Namespace(Namespace):
    """`namespace` of templates, which takes no names that begin with an underscore: those reach into Python."""

    def __init__(*arguments: Any, **entries: Any) -> None:  # so that an entry may be called "self"
        self, values = arguments[0], dict(*arguments[1:], **entries)
        for name in values:
            _refuse_private(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)


def _refuse_private(name: object) -> None:
    if str(name).startswith("_"):
        raise SecurityError(f"A chat template may not set {name} on a namespace.")


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def _to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    # Jinja's own escapes what HTML would misread.
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {
        "raise_exception": _raise_exception,
        "strftime_now": _strftime_now,
        "dict": _Dict(),
        "namespace": _Namespace,
    }
    return environment


_ENVIRONMENT = _environment()
