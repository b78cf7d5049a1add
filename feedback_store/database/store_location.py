"""Where a store is: a URL or a path, and which of them a home uses.

A home uses its own SQLite file, or the database whose URL is written in the home. The URL is kept there so that
training, cycles and every later start find the same store without being given it again.
"""

import contextlib
import os
import tempfile
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from feedback_store.errors import StoreMissing, StoreUnavailable, StoreUnwritable

FILE = "feedback.db"
URL_FILE = "store.url"


def store_of(home: Path) -> Path | str:
    """Path or URL of the home's store, for `FeedbackStore.open`. Raises StoreUnavailable if it cannot be read."""
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
    """Whether the home has a store: a SQLite file that exists, or a URL. Raises StoreUnavailable."""
    location = store_of(home)
    return isinstance(location, str) or location.exists()


def remember_store(home: Path, url: str) -> None:
    """Write `url` into the home, as its store from now on. Only the owner may read the file: a URL may hold a password.

    Raises StoreUnavailable if `url` is no URL of a store, StoreUnwritable.
    """
    absolute = _absolute(url)
    if store_of(home) == absolute:
        return
    aside = None
    try:
        home.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=f".{URL_FILE}.", dir=home)  # readable by its owner alone
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(absolute + "\n")
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
    """The URL with an absolute path, so that it names the same database from any folder."""
    parsed = checked_url(url)
    if parsed.get_backend_name() == "sqlite":
        parsed = parsed.set(database=str(Path(str(parsed.database)).absolute()))
    return parsed.render_as_string(hide_password=False)


def checked_url(path_or_url: Path | str) -> URL:
    """Parse a path or URL of a store. Raises StoreUnavailable if it is neither SQLite nor PostgreSQL, or in memory."""
    if isinstance(path_or_url, Path):
        return URL.create("sqlite", database=str(path_or_url))
    try:
        url = make_url(path_or_url)
    except (ArgumentError, ValueError) as error:  # not repeated in the message: it may hold a password
        raise StoreUnavailable(
            "The store's URL cannot be read. "
            "Write it like sqlite:////folder/feedback.db or postgresql://user@host/name."
        ) from error
    if url.drivername in ("postgresql", "postgres"):  # as every other tool writes it
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreUnavailable(
            f"Feedback can be kept in SQLite or PostgreSQL, not in {url.drivername!r}. "
            "Write the URL like sqlite:////folder/feedback.db or postgresql://user@host/name."
        )
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise StoreUnavailable(
            "A store in memory would lose every rating when the program ends. Name a file instead."
        )
    return url


def prepare_folder(url: URL, create: bool) -> None:
    """Create the folder of a SQLite file.

    Raises StoreMissing if the file does not exist and `create` is false, StoreUnwritable.
    """
    path = Path(str(url.database))
    try:
        if not create and not path.exists():
            raise StoreMissing(
                f"There is no feedback store at {path}. Check the folder's name; "
                "a store is made when the app first runs with this home."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnwritable(
            f"The feedback store cannot be placed at {path}: {error.strerror}. "
            "Choose a folder that you can write."
        ) from error


def recorded_path(url: URL, folder: Path) -> str:
    """The path under which a store records a folder.

    It is relative to the store's file if the folder is beside or below it, so that a home can be moved as a whole.
    """
    home = _home(url)
    folder = folder.resolve()
    if home is not None and folder.is_relative_to(home):
        return folder.relative_to(home).as_posix()
    return str(folder)


def folder_at(url: URL, recorded: str) -> Path:
    """The folder that a store recorded as `recorded`."""
    return (_home(url) or Path()) / recorded


def _home(url: URL) -> Path | None:
    return Path(str(url.database)).resolve().parent if url.get_backend_name() == "sqlite" else None
