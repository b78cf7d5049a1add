"""Which engine generates the replies: another server, llama.cpp on a CPU, or transformers."""

import logging
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from assistant.bases.base import STARTER
from assistant.errors import ModelError, SettingsError, VersionError
from assistant.missing_packages import ENGINE, missing, need_engine_packages
from assistant.registry.first_version import add_first_version
from assistant.registry.versions import Manifest, Version, Versions, now
from assistant.serving.engine import Engine
from assistant.settings import Settings

if TYPE_CHECKING:
    from assistant.bases.base import FileBits

log = logging.getLogger(__name__)

STARTER_V1, STARTER_BASE = "v1", "v2"
"""Ids of the versions of `starter_engine`: the starter as it is, and its base alone, as pretraining left it."""
STARTER_CACHE = 16
"""MiB of keys and values that `starter_engine` may use: 5,461 tokens."""


def check_engine(settings: Settings) -> None:
    """Raises AssistantError if no engine here can do what `settings` ask for, whatever the model is.

    For the moment before a new home gets its first version.
    """
    by_llama_cpp, by_transformers = ("q8_0", "q4_1", "file"), ("4bit", "8bit")
    if settings.engine_url is not None:
        return
    if settings.engine == "llama.cpp" and settings.quantize in by_transformers:
        raise SettingsError(
            f"llama.cpp does not round to {settings.quantize}, which is transformers'. "
            "Give --quantize q8_0, or --engine transformers."
        )
    if settings.engine == "transformers" and settings.quantize in by_llama_cpp:
        raise SettingsError(
            f"transformers does not round to {settings.quantize}, which is llama.cpp's. "
            "Give --quantize 8bit, or --engine llama.cpp."
        )
    if settings.quantize in by_transformers and missing(ENGINE):
        raise SettingsError(
            f"--quantize {settings.quantize} is done by transformers, which is not installed here. Give --quantize "
            "q8_0, which llama.cpp does, or install it: pip install -r requirements-gpu.txt."
        )
    if settings.engine == "transformers":
        need_engine_packages()


def engine_for(settings: Settings, registry: Versions, version: Version) -> Engine:
    """The engine that `settings` ask for, serving `version`. Raises AssistantError.

    "auto" is llama.cpp where there is no GPU, and transformers where llama.cpp cannot serve the version; a notice then
    says why.
    """
    if settings.engine_url is not None:
        from assistant.serving.remote.remote_engine import RemoteEngine

        key = settings.engine_key.get_secret_value() if settings.engine_key else ""
        return RemoteEngine(registry, version, settings.engine_url, key, settings.engine_model)
    if settings.engine == "llama.cpp":
        return _llama_cpp(settings, registry, version)
    if settings.engine == "transformers" or _asks_for_transformers(settings):
        return _transformers(settings, registry, version)
    if find_spec("xllamacpp") is None:
        log.warning("Serving by transformers, because the package xllamacpp is not installed.")
        return _transformers(settings, registry, version)
    try:
        return _llama_cpp(settings, registry, version)
    except (ModelError, VersionError) as error:
        if missing(ENGINE):
            raise
        log.warning("Serving by transformers, which is slower on a CPU. %s", error)
        return _transformers(settings, registry, version)


def starter_engine(settings: Settings, home: Path) -> Engine:
    """An engine for the starter in an empty `home`, beside the one that `settings` ask for. Raises AssistantError.

    It serves STARTER_V1 and STARTER_BASE, with little memory for keys and values: more replies wait.
    """
    registry = Versions(home)
    version = add_first_version(registry, STARTER)
    base = Manifest(STARTER_BASE, version.manifest.base, None, "pretrain", now(), adapter=False)
    with registry.staging() as folder:
        registry.add(base, folder)
    # What concerns the served model alone is left out.
    changes = {
        "home": home,
        "engine_url": None,
        "quantize": None,
        "dtype": "auto",
        "cache_memory": STARTER_CACHE,
    }
    return engine_for(settings.model_copy(update=changes), registry, version)


def _llama_cpp(settings: Settings, registry: Versions, version: Version) -> Engine:
    from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine

    cache_bytes = settings.cache_memory and settings.cache_memory * 2**20
    return LlamaCppEngine(registry, version, cache_bytes, cast("FileBits | None", settings.quantize))


def _transformers(settings: Settings, registry: Versions, version: Version) -> Engine:
    need_engine_packages()
    from assistant.serving.loading import Placement, bound_threads, quiet_libraries
    from assistant.serving.transformers_engine import TransformersEngine

    if settings.quantize not in (None, "4bit", "8bit"):
        raise SettingsError(
            f"--quantize {settings.quantize} is done by llama.cpp, and transformers serves here. Give --quantize 8bit, "
            "or leave it out."
        )
    quiet_libraries()
    bound_threads()
    bits = settings.quantize
    return TransformersEngine(registry, version, Placement(settings.device, settings.dtype, bits))


def _asks_for_transformers(settings: Settings) -> bool:
    """Whether another setting is one that transformers alone knows, or there is a GPU to use."""
    if (
        settings.quantize in ("4bit", "8bit")
        or settings.dtype != "auto"
        or settings.device in ("cuda", "mps")
    ):
        return True
    return settings.device == "auto" and _has_gpu()


def _has_gpu() -> bool:
    """Whether torch sees a GPU. It takes a second to import, and is asked only where a driver may be."""
    drivers = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
    possible = sys.platform != "linux" or any(Path(driver).exists() for driver in drivers)
    if not possible or find_spec("torch") is None:
        return False
    from assistant.serving.loading import best_device

    return best_device() != "cpu"
