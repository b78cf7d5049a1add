"""Every setting of the app, from flags, environment variables (THUMBTUNE_…) and `.env`, in that order.

Nothing else in the project reads the environment.
"""

import os
import sys
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from assistant.errors import SettingsError


def default_home() -> Path:
    """`/data` on Hugging Face Spaces with storage, else a folder for this user's data."""
    if os.environ.get("SPACE_ID") and os.access("/data", os.W_OK):
        return Path("/data")
    if sys.platform == "win32":
        place = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        place = Path.home() / "Library" / "Application Support"
    else:
        place = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return place / "thumbtune"


def default_host() -> str:
    """This machine alone; every interface on Hugging Face Spaces, where a proxy stands before the app."""
    return "0.0.0.0" if os.environ.get("SPACE_ID") else "127.0.0.1"


class Settings(BaseSettings):
    """Chat with a small model that learns from your thumbs."""

    model_config = SettingsConfigDict(
        env_prefix="THUMBTUNE_",
        env_file=".env",
        extra="ignore",
        cli_kebab_case=True,
        cli_prog_name="app.py",
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )

    model: str | None = Field(
        None, description="Hub id or folder of the model; the embedded starter if left out"
    )
    home: Path = Field(default_factory=default_home, description="folder of feedback and versions")
    host: str = Field(
        default_factory=default_host, description="address to listen on; 0.0.0.0 for every interface"
    )
    port: int = Field(7860, ge=1, le=65535, description="port to listen on")
    max_new_tokens: int = Field(512, ge=1, description="longest reply, thought included, in tokens")
    # Low, because the starter is unsure of a few words it has seldom written; a larger model bears 0.7.
    temperature: float = Field(
        0.3, ge=0.0, le=5.0, description="how varied replies are; 0 is always the likeliest"
    )
    open_browser: bool = Field(False, description="open the page in a browser")


def from_command_line(arguments: list[str] | None = None) -> Settings:
    """Settings of this process. `arguments` defaults to `sys.argv[1:]`; prints help and exits on --help.

    Raises SettingsError for a value out of range or of the wrong kind.
    """
    try:
        return Settings(_cli_parse_args=sys.argv[1:] if arguments is None else arguments)  # type: ignore[call-arg]
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))} {one['msg']}" for one in error.errors())
        raise SettingsError(f"A setting cannot be used: {wrong}. See app.py --help.") from error
