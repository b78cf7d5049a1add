"""Gradio's sessions over descriptions that are made once: they say the same, and keep their values apart."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from gradio.blocks import BlocksConfig
from gradio.state_holder import SessionState
from helpers.fake_dashboard import filled

from assistant.page import build_page


@pytest.fixture
def page(tmp_path: Path) -> Iterator[gr.Blocks]:
    office = filled(tmp_path / "home")

    async def build() -> gr.Blocks:
        return build_page(office.chat, office)

    yield asyncio.run(build())
    office.store.close()


def test_a_session_describes_every_component_as_gradio_would(page: gr.Blocks) -> None:
    for _ in range(2):
        session = SessionState(page)
        assert set(session.config_values) == set(page.blocks)
        for number, block in page.blocks.items():
            assert session.config_values[number] == BlocksConfig.config_for_block(number, [], block)


def test_what_one_session_shows_is_not_in_anothers(page: gr.Blocks) -> None:
    first, second = SessionState(page), SessionState(page)
    number, block = next(
        (number, block) for number, block in page.blocks.items() if isinstance(block, gr.Textbox)
    )
    before = second.config_values[number]["props"].get("label")
    first._update_value_in_config(number, "a draft")
    first[number] = gr.Textbox(label="another", render=False)
    first._update_config(number)
    assert first.config_values[number]["props"]["label"] == "another"
    assert first.blocks_config.blocks[number] is not block
    for session in (second, SessionState(page)):
        assert session.blocks_config.blocks[number] is block
        assert session.config_values[number]["props"].get("label") == before
        assert session.config_values[number]["props"].get("value") is None
