"""Every setting of the app, from flags, environment variables (THUMBTUNE_…) and `.env`; the first that is given counts.

Nothing else in the project reads the environment.
"""

import os
import re
import sys
from pathlib import Path
from typing import Literal

import psutil
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from assistant.errors import SettingsError
from assistant.sampling_settings import DEFAULT_MAX_NEW_TOKENS, DEFAULT_TEMPERATURE, MAX_TEMPERATURE

LASTING = Path("/data")
"""What lasts of a Hugging Face Space's disk, if anything does."""


def default_home() -> Path:
    """`/data` on a Hugging Face Space with a disk there, else the usual folder for this user's data."""
    if on_space() and os.access(LASTING, os.W_OK) and _is_disk(LASTING):
        return LASTING
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return folder / "thumbtune"


def on_space() -> bool:
    """Whether this is a Hugging Face Space."""
    return bool(os.environ.get("SPACE_ID"))


def library_variable(name: str) -> str | None:
    """An environment variable of a library's, which is no setting of the app; None if it is not set."""
    return os.environ.get(name)


def _is_disk(folder: Path) -> bool:
    """Whether `folder` is on a disk. A bucket that is mounted there has no locks, and the store is damaged without."""
    kinds = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    return not kinds.get(str(folder), "").startswith("fuse")


def default_model() -> str | None:
    """What `THUMBTUNE_MODEL` or `.env` names; None, for the default model, if neither does.

    For commands that have no flag for it: what they begin an empty home with is what the app begins it with.
    """
    return _Model().model


def default_host() -> str:
    """This machine alone; every interface on a Hugging Face Space, where a proxy forwards requests to the app."""
    return "0.0.0.0" if on_space() else "127.0.0.1"


class _Model(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="THUMBTUNE_", env_file=".env", extra="ignore")

    model: str | None = None


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
        None,
        description="the model of a new home: smollm2 (if left out), starter, a Hub id, HUB-ID:FILE.gguf, "
        "a folder, or a .gguf file",
    )
    home: Path = Field(default_factory=default_home, description="folder of feedback and versions")
    store_url: SecretStr | None = Field(
        None,
        description="keep feedback in this database, such as postgresql://user@host/name, instead of the home, which "
        "remembers it; set a URL with a password in the environment, because other users see flags",
    )
    host: str = Field(
        default_factory=default_host, description="address to listen on; 0.0.0.0 for every interface"
    )
    port: int = Field(7860, ge=1, le=65535, description="port to listen on")
    root_path: str = Field(
        "",
        description="path under which a proxy offers the app, such as /chat; not needed where the proxy sends "
        "X-Forwarded-Prefix",
    )
    max_new_tokens: int = Field(
        DEFAULT_MAX_NEW_TOKENS, ge=1, description="longest reply, thought included, in tokens"
    )
    temperature: float | None = Field(
        None,
        ge=0.0,
        le=MAX_TEMPERATURE,
        description="how varied replies are, 0 (always the likeliest token) to 5; if left out, what the model's makers "
        f"suggest, else {DEFAULT_TEMPERATURE}",
    )
    device: Literal["auto", "cuda", "mps", "cpu"] = Field("auto", description="where the model runs")
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = Field("auto", description="number type of the weights")
    quantize: Literal["4bit", "8bit", "q8_0", "q4_1", "file"] | None = Field(
        None,
        description="round the weights: with llama.cpp to q8_0 or q4_1, or as they are in the given .gguf file (file); "
        "with transformers to 4bit or 8bit, by bitsandbytes",
    )
    engine: Literal["auto", "llama.cpp", "transformers"] = Field(
        "auto",
        description="what generates the replies in this process; auto takes llama.cpp on a CPU, where it can serve the "
        "model, else transformers",
    )
    cache_memory: int | None = Field(
        None,
        ge=16,
        description="with llama.cpp: most memory, in MiB, for the keys and values of all replies, and again as much "
        "once two versions answer at the same time; 512, or a quarter of what is free if that is less, if left out",
    )
    engine_url: str | None = Field(
        None, description="OpenAI-compatible server that generates the replies, such as http://host:8000"
    )
    engine_model: str | None = Field(
        None, description="the model's name on that server; the version's own if left out"
    )
    engine_key: SecretStr | None = Field(
        None, description="that server's key; set it in the environment, because other users see flags"
    )
    api_keys: SecretStr | None = Field(
        None,
        description="keys of the API, separated by commas; set them in the environment, because other users see flags",
    )
    cors_origins: str = Field(
        "",
        description="other sites whose pages may use the app in a browser, such as https://chat.example, separated by "
        "commas; * for every site",
    )
    backup_url: str | None = Field(
        None,
        description="where backups of the home are stored: a folder, hf://buckets/NAME/BUCKET, any fsspec URL",
    )
    backup_every: float = Field(10.0, gt=0, description="minutes between two backups")
    backup_keep: int = Field(10, ge=1, description="how many backups are kept; the newest are")
    policy: Path | None = Field(
        None, description="YAML file with the policy of cycles and live comparisons that the app starts"
    )
    admin_password: SecretStr | None = Field(
        None,
        description="password of the dashboard; set it in the environment, because other users see flags",
    )
    admins: str = Field(
        "", description="on Spaces: Hugging Face names that may open the dashboard, separated by commas"
    )
    logins: SecretStr | None = Field(
        None,
        description="the only people who may chat, as name:password separated by commas; set them in the environment, "
        "because other users see flags",
    )
    open_browser: bool = Field(False, description="open the page in a browser")

    @field_validator("engine_url")
    @classmethod
    def _web_address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return url

    @field_validator("root_path")
    @classmethod
    def _path(cls, path: str) -> str:
        if path and not re.fullmatch(r"(/[\w.~-]+)+/?", path, re.ASCII):
            raise ValueError("must be a path such as /chat")
        return path.rstrip("/")

    @field_validator("cors_origins")
    @classmethod
    def _sites(cls, origins: str) -> str:
        for origin in _listed(origins):
            scheme, separator, host = origin.partition("://")
            if origin != "*" and (not separator or not scheme or not host or "/" in host):
                raise ValueError("must be sites such as https://chat.example, without a path")
        return origins

    @field_validator("admin_password")
    @classmethod
    def _hard_to_guess(cls, password: SecretStr | None) -> SecretStr | None:
        if password is not None and len(password.get_secret_value()) < 12:
            raise ValueError("must have at least 12 characters")
        return password

    @field_validator("logins")
    @classmethod
    def _people(cls, logins: SecretStr | None) -> SecretStr | None:
        if logins is None:
            return None
        pairs = _pairs(logins)
        names = [name.casefold() for name, _ in pairs]
        if not pairs or not all(names) or len(set(names)) < len(names):
            raise ValueError("must be name:password separated by commas, each name once")
        if any(len(password) < 8 for _, password in pairs):
            raise ValueError("must have passwords of at least 8 characters")
        return logins

    @property
    def passwords(self) -> dict[str, str]:
        """Passwords by name of the people who may chat; empty if everybody may."""
        return dict(_pairs(self.logins))

    @property
    def admin_names(self) -> list[str]:
        """Hugging Face names that may open the dashboard."""
        return _listed(self.admins)

    @property
    def origins(self) -> list[str]:
        """Other sites whose pages may use the app; "*" is every site."""
        return _listed(self.cors_origins)

    @property
    def hugging_face_login(self) -> bool:
        """Whether people can sign in with Hugging Face: on a Space whose header says `hf_oauth: true`.

        Not together with `logins`: one app has one way to sign in.
        """
        return bool(on_space() and os.environ.get("OAUTH_CLIENT_ID") and not self.passwords)

    @property
    def lost_at_restart(self) -> bool:
        """Whether feedback is gone when this Space restarts: its disk does not last, and nothing else holds it."""
        elsewhere = self.backup_url is not None or self.store_url is not None
        return on_space() and not elsewhere and not self.home.is_relative_to(LASTING)

    @property
    def keys(self) -> list[str]:
        """The API's keys; none if everybody may call it."""
        return _listed(self.api_keys.get_secret_value() if self.api_keys else "")


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _pairs(logins: SecretStr | None) -> list[tuple[str, str]]:
    """Names and passwords in the order in which they are listed."""
    text = logins.get_secret_value() if logins else ""
    parts = [part.partition(":") for part in text.split(",") if part.strip()]
    return [(name.strip(), password.strip()) for name, _, password in parts]


def from_command_line(arguments: list[str] | None = None) -> Settings:
    """Settings of this process. `arguments` defaults to `sys.argv[1:]`; prints help and exits on --help.

    Raises SettingsError for a value out of range or of the wrong kind.
    """
    try:
        return Settings(_cli_parse_args=sys.argv[1:] if arguments is None else arguments)  # type: ignore[call-arg]
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))} {problem['msg']}" for problem in error.errors()
        )
        raise SettingsError(f"A setting cannot be used: {problems}. See app.py --help.") from error
