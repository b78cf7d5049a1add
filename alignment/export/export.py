"""A version for other programs: transformers and PEFT, vLLM, llama.cpp, Ollama, LM Studio, and the Hub.

    python -m alignment export v2 --format peft                      # the adapter, as PEFT reads it
    python -m alignment export v2 --format merged                    # one model folder, the adapter merged
    python -m alignment export v2 --format gguf --quantize q8_0      # one file for llama.cpp and Ollama
    python -m alignment export v2 --format gguf --adapter-only       # the adapter, beside a GGUF file of its base

Each makes a new folder with a README.md. The program needs neither torch nor a GPU.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import get_args

from alignment.errors import ExportError
from alignment.event_output import emit
from alignment.export.destinations import Format, hub_base, model_slug, written_aside
from alignment.export.export_card import export_card
from alignment.export.gguf_model import Rounding, write_gguf
from alignment.export.hub_upload import push
from alignment.export.merged_folder import write_merged
from alignment.export.merged_weights import NumberType, number_type_of
from alignment.export.modelfile import modelfile
from assistant.bases.base_source import fetched_folder
from assistant.bases.card_lookup import public_name
from assistant.bases.model_folder import read_config
from assistant.bases.suggested_sampling import suggested_sampling
from assistant.errors import VersionError
from assistant.events.event import Event
from assistant.registry.versions import Manifest, Version, Versions
from assistant.serving.adapter_check import adapter_settings
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.llama_cpp.converted_adapter import write_adapter
from assistant.serving.llama_cpp.llama_base import end_tokens
from assistant.settings import default_home


def main(arguments: list[str]) -> None:
    """Write a version in a format, and push it to the Hub if that is asked for."""
    options = _options(arguments)
    versions = Versions(options.home)
    version = versions.open(options.version)
    _check(version, options)
    folder = options.out or options.home / "exports" / _folder_name(version, options)
    with written_aside(folder) as aside:
        _write(version, options, aside)
        files = sorted(path.name for path in aside.iterdir())
        card = export_card(_lineage(versions, version), options.format, files, model_slug(version))
        (aside / "README.md").write_text(card, encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    emit(Event.of("exported", version=version.id, path=str(folder), megabytes=size / 1e6))
    if options.push:
        url = push(folder, options.push, f"{model_slug(version)} as {options.format}")
        emit(Event.of("pushed", version=version.id, url=url))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m alignment export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("version", help="for example v2")
    parser.add_argument("--home", type=Path, default=default_home(), help="folder of feedback and versions")
    parser.add_argument(
        "--format",
        required=True,
        choices=get_args(Format),
        help="a PEFT adapter, a whole model, or a GGUF file",
    )
    parser.add_argument(
        "--dtype",
        choices=get_args(NumberType),
        help="number type; f32 for merged, the base's own for gguf if left out",
    )
    parser.add_argument("--quantize", metavar="BITS", help=f"with gguf: {', '.join(get_args(Rounding))}")
    parser.add_argument(
        "--adapter-only",
        action="store_true",
        help="with gguf: the adapter alone, for a GGUF file of its base",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="a new folder; one in HOME/exports if left out"
    )
    parser.add_argument(
        "--push",
        metavar="REPOSITORY",
        help="also upload the folder to this Hub repository, created as private",
    )
    return parser.parse_args(arguments)


def _check(version: Version, options: argparse.Namespace) -> None:
    """Raises ExportError if the version cannot be written as the flags say."""
    bits, base = options.quantize, version.manifest.base
    if bits is not None and bits not in get_args(Rounding):
        raise ExportError(
            f"{bits} is no rounding that is made here. Give --quantize {', '.join(get_args(Rounding))}; or leave it "
            "out and round the file with llama.cpp's own `llama-quantize`."
        )
    if options.format != "gguf" and (bits or options.adapter_only):
        raise ExportError(
            "--quantize and --adapter-only are for --format gguf. Leave them out, or give that format."
        )
    if (bits and options.dtype) or (options.adapter_only and (bits or options.dtype)):
        raise ExportError(
            "--dtype, --quantize and --adapter-only exclude each other: an adapter is written in f32. Give one of them."
        )
    if options.format == "peft" and options.dtype:
        raise ExportError("--dtype is for --format merged and gguf: an adapter stays as it is. Leave it out.")
    if (options.format == "peft" or options.adapter_only) and not version.manifest.adapter:
        raise ExportError(
            f"{version.id} has no adapter: it is a whole model. Export it with --format merged, or gguf without "
            "--adapter-only."
        )
    if options.format == "peft":
        return
    if version.manifest.stage == "reward":
        raise ExportError(f"{version.id} is a reward model: it writes no replies. Give --format peft.")
    if base.quantize:
        raise ExportError(
            f"{version.id} was trained on its base in {base.quantize}, and on the whole weights its adapter would give "
            "other answers. Give --format peft."
        )


def _folder_name(version: Version, options: argparse.Namespace) -> str:
    detail = "adapter" if options.adapter_only else options.quantize or options.dtype
    return "-".join([version.id, options.format, *([detail] if detail else [])])


def _write(version: Version, options: argparse.Namespace, folder: Path) -> None:
    if options.format == "peft":
        _write_peft(version, folder)
        return
    base = fetched_folder(version.manifest.base, options.home, weights=not options.adapter_only)
    if options.format == "merged":
        write_merged(version, base, folder, options.dtype or "f32")
        return
    if options.adapter_only:
        try:
            write_adapter(version, base, folder / f"{model_slug(version)}-adapter-F32.gguf")
        except VersionError as error:
            raise ExportError(f"{str(error).split('. ')[0]}. Give --format peft.") from error
        return
    bits: NumberType | Rounding = options.quantize or options.dtype or number_type_of(base)
    name = f"{model_slug(version)}-{bits.upper()}.gguf"
    write_gguf(version, base, folder / name, model_slug(version), bits)
    tokenizer = ChatTokenizer.read(base)
    window = read_config(base)["max_position_embeddings"]
    sampling = suggested_sampling(version.manifest.base, options.home)
    text = modelfile(name, tokenizer, end_tokens(base, tokenizer), window, sampling)
    (folder / "Modelfile").write_text(text, encoding="utf-8")


def _write_peft(version: Version, folder: Path) -> None:
    shutil.copy(version.folder / "adapter_model.safetensors", folder)
    settings = adapter_settings(version)
    base = version.manifest.base
    # The name in the home may be a folder of this machine.
    settings["base_model_name_or_path"] = hub_base(base) or public_name(base.name)
    if hub_base(base) == base.name:
        settings["revision"] = base.revision
    text = json.dumps(settings, ensure_ascii=False, indent=2, sort_keys=True)
    (folder / "adapter_config.json").write_text(text + "\n", encoding="utf-8")


def _lineage(versions: Versions, version: Version) -> list[Manifest]:
    """The version's manifest, its parent's and so on, as far as they are still there."""
    lineage = [version.manifest]
    while lineage[-1].parent is not None:
        try:
            lineage.append(versions.manifest(lineage[-1].parent))
        except VersionError:
            break
    return lineage
