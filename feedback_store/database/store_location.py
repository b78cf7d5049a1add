"""Which store a home uses: its own SQLite file, or the database whose URL the home remembers.

The URL is written down so that training, cycles and every later start find the same store without being told: feedback
that went to two places would be half of it in each.
"""

import contextlib
import os
import tempfile
from pathlib import Path

from feedback_store.database.connection import checked_url
from feedback_store.errors import StoreUnavailable, StoreUnwritable

FILE = "feedback.db"
URL_FILE = "store.url"


def store_of(home: Path) -> Path | str:
    """The home's store, as `FeedbackStore.open` takes it. Raises: StoreUnavailable (the note cannot be read)."""
    try:
        return (home / URL_FILE).read_text(encoding="utf-8").strip() or home / FILE
    except (FileNotFoundError, NotADirectoryError):
        return home / FILE
    except (OSError, UnicodeDecodeError) as error:
        raise StoreUnavailable(
            f"{home / URL_FILE} names this home's store and cannot be read: {error}. "
            "Make it readable, or give the URL again with --store-url."
        ) from error


def has_store(home: Path) -> bool:
    """Whether feedback can have been kept for this home. Raises: StoreUnavailable."""
    place = store_of(home)
    return isinstance(place, str) or place.exists()


def remember_store(home: Path, url: str) -> None:
    """Let `url` be the home's store from now on. The file is its owner's alone: a URL may hold a password.

    Raises: StoreUnavailable (no URL of a store), StoreUnwritable.
    """
    written = _absolute(url)
    if store_of(home) == written:
        return
    aside = None
    try:
        home.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=f".{URL_FILE}.", dir=home)  # readable by its owner alone
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(written + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, home / URL_FILE)
    except OSError as error:
        if aside is not None:
            with contextlib.suppress(OSError):
                os.unlink(aside)
        raise StoreUnwritable(
            f"{home} cannot be written: {error.strerror or error}. Choose a folder that you can write."
        ) from error


def _absolute(url: str) -> str:
    """A URL that names the same database from any folder."""
    parsed = checked_url(url)
    if parsed.get_backend_name() == "sqlite":
        parsed = parsed.set(database=str(Path(str(parsed.database)).absolute()))
    return parsed.render_as_string(hide_password=False)
