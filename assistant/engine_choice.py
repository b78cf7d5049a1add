"""Which engine generates the replies: another server, llama.cpp on a CPU, or transformers."""

import logging
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from assistant.errors import ModelError, SettingsError, VersionError
from assistant.missing_packages import ENGINE, missing, need_engine_packages
from assistant.registry.versions import Version, Versions
from assistant.serving.engine import Engine
from assistant.settings import Settings

if TYPE_CHECKING:
    from assistant.bases.base import Bits, FileBits

log = logging.getLogger(__name__)


def engine_for(settings: Settings, registry: Versions, version: Version) -> Engine:
    """The engine that `settings` ask for, serving `version`. Raises AssistantError.

    "auto" is llama.cpp where there is no GPU, and transformers where llama.cpp cannot serve the version; a notice then
    says why.
    """
    if settings.engine_url is not None:
        from assistant.serving.remote import RemoteEngine

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


def _llama_cpp(settings: Settings, registry: Versions, version: Version) -> Engine:
    from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine

    if settings.quantize in ("4bit", "8bit"):
        raise SettingsError(
            f"llama.cpp does not round to {settings.quantize}, which is transformers'. "
            "Give --quantize q8_0, or --engine transformers."
        )
    cache_bytes = settings.cache_memory and settings.cache_memory * 2**20
    return LlamaCppEngine(registry, version, cache_bytes, cast("FileBits | None", settings.quantize))


def _transformers(settings: Settings, registry: Versions, version: Version) -> Engine:
    need_engine_packages()
    from assistant.serving.loading import Placement, quiet_libraries
    from assistant.serving.transformers_engine import TransformersEngine

    if settings.quantize in ("q8_0", "q4_1", "file"):
        raise SettingsError(
            f"transformers does not round to {settings.quantize}, which is llama.cpp's. "
            "Give --quantize 8bit, or --engine llama.cpp."
        )
    quiet_libraries()
    bits = cast("Bits | None", settings.quantize)
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
