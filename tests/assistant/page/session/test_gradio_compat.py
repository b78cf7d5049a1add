"""What the page uses of Gradio's internals is still there, and components that are described once stay apart."""

import asyncio
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.state_holder import SessionState
from helpers.fake_dashboard import filled

from assistant.page import build_page


def internal(path: str) -> Any:
    """What "module:name.name" is in Gradio; fails with Gradio's version if it is not there."""
    module, _, names = path.partition(":")
    try:
        value = importlib.import_module(module)
        for name in names.split("."):
            value = getattr(value, name)
    except (ImportError, AttributeError):
        pytest.fail(f"gradio {gr.__version__} has no {path}: change assistant/page/session/gradio_compat.py")
    return value


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("gradio.context:LocalContext.request.get", None),
        ("gradio.blocks:BlocksConfig.__init__", ["self", "root_block"]),
        ("gradio.blocks:BlocksConfig.config_for_block", ["_id", "rendered_ids", "block", "renderable"]),
        ("gradio.blocks:BlocksConfig.__copy__", ["self"]),
        ("gradio:EventData.__init__", ["self", "target", "_data"]),
        ("gradio:Blocks.get_config_file", ["self"]),
    ],
)
def test_gradio_still_has_each_internal_that_the_page_uses(path: str, parameters: list[str] | None) -> None:
    value = internal(path)
    if parameters is not None:
        found = list(inspect.signature(value).parameters)
        assert found == parameters, (
            f"gradio {gr.__version__} changed {path}: see assistant/page/session/gradio_compat.py"
        )


@pytest.fixture
def page(tmp_path: Path) -> Iterator[gr.Blocks]:
    services = filled(tmp_path / "home")

    async def build() -> gr.Blocks:
        return build_page(services.chat, services)

    yield asyncio.run(build())
    services.store.close()


def test_an_idle_tab_holds_no_connection_of_which_a_browser_has_six(page: gr.Blocks) -> None:
    """Gradio opens a stream for each tab of a page with state, unless its configuration says otherwise."""
    assert gr.Blocks.get_config_file(page)["connect_heartbeat"] is True
    assert page.get_config_file()["connect_heartbeat"] is False


def test_gradio_still_keeps_its_values_where_the_page_reads_them(page: gr.Blocks) -> None:
    from assistant.page.session.gradio_compat import event_data, starlette_request

    data, request = {"turn": "r1"}, object()
    changed = f"gradio {gr.__version__} changed: see assistant/page/session/gradio_compat.py"
    assert event_data(gr.EventData(None, data)) == data, changed
    assert event_data(gr.EventData(None, "text")) == {}
    assert starlette_request(gr.Request(request)) is request, changed  # type: ignore[arg-type]
    assert {"blocks", "fns", "renderables"} <= vars(page.default_config).keys(), changed


def test_a_session_describes_every_component_as_gradio_would(page: gr.Blocks) -> None:
    describe = internal("gradio.blocks:BlocksConfig.config_for_block")
    for _ in range(2):
        session = SessionState(page)
        assert set(session.config_values) == set(page.blocks)
        for number, block in page.blocks.items():
            assert session.config_values[number] == describe(number, [], block)


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
