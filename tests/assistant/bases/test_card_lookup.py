"""Cards of models: the built-in ones, the neutral one with a README's header, and names without paths."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from assistant.bases.built_in_cards import QWEN3_CARD, SMOLLM2_CARD, STARTER_CARD, neutral_card
from assistant.bases.card_lookup import card_of, model_name, public_name
from assistant.bases.model_card import ModelCard

CARDS = {
    "starter": STARTER_CARD,
    "smollm2": SMOLLM2_CARD,
    "qwen3": QWEN3_CARD,
    "neutral": neutral_card("Some-1B"),
    "neutral, English alone": neutral_card("Some-1B", ("en",)),
    "neutral, German alone": neutral_card("Some-1B", ("de",)),
}
each_card = pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
HAN = re.compile(r"[\u4e00-\u9fff]")


@each_card
def test_every_card_speaks_both_languages_of_the_page_and_has_examples(card: ModelCard) -> None:
    assert card.texts.keys() == {"en", "zh"}
    for code, texts in card.texts.items():
        for name in ("greeting", "welcome", "placeholder", "good_at", "not_good_at"):
            text = asdict(texts)[name]
            assert bool(HAN.search(text)) == (code == "zh" and text != ""), (code, name)
        assert 3 <= len(texts.examples) <= 4
        for example in texts.examples:
            assert bool(HAN.search(example)) == (texts.examples_language == "zh")


@each_card
def test_chinese_cards_use_chinese_punctuation(card: ModelCard) -> None:
    texts = card.texts["zh"]
    for text in (texts.greeting, texts.welcome, texts.placeholder, texts.good_at, texts.not_good_at):
        assert not re.search(r"[\u4e00-\u9fff] ?[,.?!:;(]|\.\.\.", text), text


@pytest.mark.parametrize(
    ("base", "name", "built_in"),
    [
        ("starter", "starter", STARTER_CARD),
        ("smollm2", "SmolLM2-135M-Instruct", SMOLLM2_CARD),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct", SMOLLM2_CARD),
        ("/srv/secret/SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct.Q4_1", SMOLLM2_CARD),
        ("x/SmolLM2-GGUF:SmolLM2-135M-Instruct.Q8_0.gguf", "SmolLM2-135M-Instruct.Q8_0", SMOLLM2_CARD),
        ("Qwen/Qwen3-0.6B", "Qwen3-0.6B", QWEN3_CARD),
        ("/srv/secret/qwen3-4b", "qwen3-4b", QWEN3_CARD),
    ],
)
def test_a_built_in_card_is_known_by_the_name_of_the_base(
    base: str, name: str, built_in: ModelCard, tmp_path: Path
) -> None:
    card = card_of(base, tmp_path)
    assert (card.name, card.texts) == (name, built_in.texts)


def test_another_size_of_smollm2_knows_english_alone_and_claims_nothing_that_was_measured_of_the_small_one() -> (
    None
):
    card = card_of("HuggingFaceTB/SmolLM2-1.7B-Instruct")
    assert (card.languages, card.licence, card.thinking) == (("en",), "apache-2.0", "instructed")
    assert "calculate" not in card.texts["en"].welcome
    assert "没有列出中文" in card.texts["zh"].welcome


@pytest.mark.parametrize("base", ["org/Some-1B", "/srv/secret/models/Some-1B", "secret/Some-1B"])
def test_any_other_model_has_a_neutral_card_that_names_it_without_its_folder(base: str) -> None:
    card = card_of(base)
    assert card == neutral_card("Some-1B")
    assert "secret" not in str(card)
    assert "Some-1B" in card.texts["en"].welcome
    assert card.texts["zh"].examples_language == "zh"


def model_folder(folder: Path, header: str) -> str:
    """A folder with a README.md that begins with this header; its path as a manifest holds it."""
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(f"---\n{header}\n---\n# A model\nlanguage: fr\n", encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("header", "languages", "licence"),
    [
        ("language: en\nlicense: mit", ("en",), "mit"),
        ("language:\n- de\n- no\nlicense: other\nlicense_name: own-terms", ("de", "no"), "own-terms"),
        ("base_model: HuggingFaceTB/SmolLM2-135M-Instruct", ("en",), "apache-2.0"),
        ("base_model:\n- Qwen/Qwen3-0.6B\nlanguage: fi", ("fi",), "apache-2.0"),
        ("license: [", (), ""),
        ("- a list", (), ""),
        ("language: {code: en}\nlicense: 7", (), "7"),
    ],
)
def test_a_folders_readme_tells_languages_and_licence(
    header: str, languages: tuple[str, ...], licence: str, tmp_path: Path
) -> None:
    card = card_of(model_folder(tmp_path / "Mine-1B", header))
    assert (card.name, card.languages, card.licence) == ("Mine-1B", languages, licence)


def test_the_readme_beside_a_gguf_file_and_in_a_folder_of_the_home_is_read_too(tmp_path: Path) -> None:
    file = Path(model_folder(tmp_path / "models" / "mine", "language: en")) / "Mine-1B.Q8_0.gguf"
    file.touch()
    assert card_of(str(file)).languages == ("en",)
    assert card_of("models/mine", tmp_path).languages == ("en",)
    assert card_of("models/mine").languages == ()


@pytest.mark.parametrize("content", [b"", b"# No header", b"---\n\xff\xfe", b"---\nlanguage: en"])
def test_a_readme_that_has_no_readable_header_tells_nothing_wrong(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(content)
    assert card_of(str(tmp_path)).licence == ""


@pytest.mark.parametrize(
    ("languages", "chinese_examples", "warned"),
    [((), "zh", False), (("zh", "en"), "zh", False), (("en",), "en", True), (("fr",), "zh", True)],
)
def test_a_chinese_page_says_so_if_the_model_does_not_list_chinese(
    languages: tuple[str, ...], chinese_examples: str, warned: bool
) -> None:
    texts = neutral_card("Some-1B", languages).texts["zh"]
    assert texts.examples_language == chinese_examples
    assert ("没有列出中文" in texts.welcome) == warned


@pytest.mark.parametrize(
    ("base", "name", "public"),
    [
        ("starter", "starter", "starter"),
        ("smollm2", "smollm2", "smollm2"),
        ("org/Some-1B", "Some-1B", "org/Some-1B"),
        ("org/Some-GGUF:Some-1B.Q8_0.gguf", "Some-1B.Q8_0", "org/Some-GGUF:Some-1B.Q8_0.gguf"),
        ("/srv/secret/Some-1B", "Some-1B", "Some-1B"),
        ("/srv/secret/Some-1B.Q4_K_M.gguf", "Some-1B.Q4_K_M", "Some-1B.Q4_K_M"),
        ("/root/.cache/hub/models--org--Some-1B/snapshots/0f0f", "Some-1B", "Some-1B"),
        ("versions/v7/base", "v7", "v7"),
        ("models/mine", "mine", "mine"),
    ],
)
def test_a_base_is_named_without_the_path_of_its_folder(
    base: str, name: str, public: str, tmp_path: Path
) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    assert (model_name(base), public_name(base, tmp_path)) == (name, public)


@pytest.mark.parametrize(
    ("parameters", "size"),
    [(None, ""), (4_886_528, "4.9M"), (134_515_008, "134.5M"), (1_711_376_384, "1.7B")],
)
def test_the_size_is_written_as_models_are_named_by_it(parameters: int | None, size: str) -> None:
    assert ModelCard("x", {}, parameters=parameters).size == size
