"""Every test has a home of its own, no hub and no network."""

import os
import sys

# Before anything imports the libraries that read them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
# What a test's empty home begins with, whether SmolLM2 is installed or not.
os.environ["THUMBTUNE_MODEL"] = "starter"
# Commands do not start themselves again for huge pages: that takes time, and small models gain nothing by them.
os.environ.setdefault("GLIBC_TUNABLES", "")

import gc
import ipaddress
import shlex
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers import postgres, warm_process

from feedback_store import FeedbackStore

# Else each process compiles our code and the tests anew: the workers, and every program that a test starts.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# While the test files import the libraries, garbage collections would find nothing and take a quarter of the time.
gc.disable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: two more than there are cores, because tests wait for browsers and processes much of the time."""
    return 2 + (os.cpu_count() or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: list[Any]) -> None:
    """Begin in each process with the large libraries imported, and with its share of the cores."""
    # With all cores each, they wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // len(specs))))
    os.environ["THUMBTUNE_TEST_RUN"] = str(warm_process.OWNER)
    if sys.platform == "linux":
        worker = Path(__file__).parent / "helpers" / "warm_worker.py"
        for spec in specs:
            spec.python = shlex.join([sys.executable, str(worker)])


SLOW_FILES = (
    "alignment/cycle/test_cycle_resume.py",
    "assistant/page/test_page_conversations_browser.py",
    "assistant/api/test_api.py",
    "alignment/cycle/test_cycle.py",
    "assistant/page/dashboard/test_dashboard_browser.py",
    "assistant/page/test_page_browser.py",
    "alignment/stages/test_correct.py",
    "feedback_store/rows/test_snapshot.py",
    "test_whole_loop.py",
    "feedback_store/importers/test_importers_fuzz.py",
    "alignment/stages/test_qlora.py",
    "assistant/page/test_page_rating_browser.py",
    "assistant/serving/test_loading.py",
    "alignment/stages/test_resume.py",
    "alignment/stages/test_bad_input.py",
    "alignment/training/batching/test_micro_batches.py",
    "assistant/page/test_page_login_browser.py",
    "assistant/serving/test_transformers_engine.py",
    "assistant/serving/test_damaged_release.py",
    "assistant/serving/test_engine_versions.py",
    "test_two_processes.py",
    "assistant/serving/llama_cpp/test_llama_cpp_engine.py",
    "feedback_store/importers/test_importers.py",
    "assistant/chat/test_live_comparison.py",
    "assistant/page/test_page_access_browser.py",
    "assistant/chat/test_token_steps.py",
    "assistant/page/test_page_reload_browser.py",
    "feedback_store/importers/test_importers_bad_input.py",
    "alignment/stages/test_dpo.py",
    "assistant/page/dashboard/test_dashboard_access.py",
    "feedback_store/rows/test_exporters.py",
    "alignment/stages/test_rloo.py",
    "alignment/cycle/test_cycle_odd_rows.py",
    "assistant/chat/test_chat.py",
    "assistant/page/test_page_appearance_browser.py",
    "alignment/export/test_exported_replies.py",
)
"""Files that take longest, the slowest first. They begin first: a long file that began last would run on by itself."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slow files first; `--no-loadscope-reorder` in pyproject.toml lets several processes keep that order."""
    tests = Path(__file__).parent
    if missing := [name for name in SLOW_FILES if not (tests / name).exists()]:
        raise pytest.UsageError(f"SLOW_FILES in tests/conftest.py names files that are not there: {missing}")
    places = {tests / name: place for place, name in enumerate(SLOW_FILES)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Keep the objects of imported libraries out of later garbage collections, each of which would visit them all."""
    warm_process.collect_seldom()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    return tmp_path / "home"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.Server]:
    """A PostgreSQL server that lives as long as the tests; they skip where there is none."""
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.server() as running:
        yield running


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new store's file, made once: a copy is ready sooner than a migration."""
    path = tmp_path_factory.mktemp("empty") / "feedback.db"
    FeedbackStore.open(path).close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Each kind of database that a store can be kept in, in turn."""
    return str(request.param)


@pytest.fixture
def new_place(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path | str]:
    """Where a store can be made and is none yet: a file's path, or the URL of an empty database."""
    if engine_name == "sqlite":
        yield tmp_path / "home" / "feedback.db"
        return
    server: postgres.Server = request.getfixturevalue("postgresql")
    database = server.new_database()
    yield server.url(database)
    server.drop(database)


@pytest.fixture
def place(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path | str]:
    """Where an empty store is."""
    if engine_name == "sqlite":
        (tmp_path / "home").mkdir()
        yield Path(shutil.copy(request.getfixturevalue("empty_store"), tmp_path / "home"))
        return
    server: postgres.Server = request.getfixturevalue("postgresql")
    database = server.empty_store()
    yield server.url(database)
    server.give_back(database)


@pytest.fixture
def store(place: Path | str) -> Iterator[FeedbackStore]:
    """An empty store, on each engine in turn."""
    with FeedbackStore.open(place) as opened:
        yield opened


@pytest.fixture
def chat() -> Any:
    """A chat with scripted answers, without a page."""
    # Imported late, here and below, so that tests without a page need not wait for Gradio.
    from helpers.fake_chat import FakeChat

    return FakeChat()


@pytest.fixture
def handlers(chat: Any) -> Any:
    """The page's handlers over `chat`, for calls without a browser."""
    from assistant.page.chat_events import ChatHandlers
    from assistant.page.handlers.session_manager import SessionManager

    return ChatHandlers(SessionManager(chat))


@pytest.fixture
def session() -> Any:
    """The session of one open tab."""
    from assistant.page.session.chat_session import ChatSession

    return ChatSession(browser="rater-1")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The API over the starter, without keys."""
    # Late: tests without a model need not wait for one.
    from helpers.api_server import serving_api

    with serving_api(tmp_path_factory.mktemp("api")) as serving:
        yield serving


@pytest.fixture
def client(api: Any) -> Iterator[httpx.Client]:
    """A client of the API."""
    with httpx.Client(base_url=api.url, timeout=240) as made:
        yield made


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Any, str]]:
    """The chat page over a fake chat, and its address."""
    from helpers.fake_chat import FakeChat, serving

    fake = FakeChat(seconds_between=0.03)
    fake.words_at_once = 8
    with serving(fake) as url:
        yield fake, url


@pytest.fixture
def fake(served: tuple[Any, str]) -> Any:
    """The chat behind the page."""
    return served[0]


@pytest.fixture(scope="module")
def browser(served: tuple[Any, str]) -> Iterator[Any]:
    """Chromium, started after `served`: Playwright keeps an event loop running, and the page needs one of its own."""
    from helpers.browser_steps import CHROMIUM, SWITCHES, playwright

    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=str(CHROMIUM), args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Any, served: tuple[Any, str]) -> Iterator[Any]:
    """A function that opens the page in a new browser profile."""
    from helpers.browser_steps import visits

    with visits(browser, served[1]) as open_page:
        yield open_page


@pytest.fixture
def services(home: Path) -> Any:
    """The dashboard over a home in which much has happened."""
    from helpers import fake_dashboard  # it imports Gradio, which most tests do without

    return fake_dashboard.filled(home)


@pytest.fixture
def rated(home: Path) -> Path:
    """A tiny home with thumbs."""
    from helpers import small_cycle  # it imports the training libraries

    return small_cycle.rated_home(home)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Of a small cycle."""
    from helpers import small_cycle

    return small_cycle.write_policy(tmp_path)


@pytest.fixture
def promoting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that promotes whatever comes, for what follows it: two steps of training show nothing."""
    from helpers import small_cycle

    small_cycle.promote_all(monkeypatch)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections to anything but this machine fail, and say so."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not _is_local(address[0]):
            raise OSError(f"tests must not reach the network: {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
