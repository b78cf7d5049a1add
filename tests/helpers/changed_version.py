"""A version whose weights differ, for tests that must distinguish versions."""

from __future__ import annotations

from safetensors.torch import load_file, save_file

from assistant.registry.versions import Manifest, Version, Versions, now


def changed(version: Version, versions: Versions, factor: float, stage: str = "sft") -> Version:
    """A child of `version`, its adapter's effect multiplied by `factor`."""
    manifest = version.manifest
    child = Manifest(versions.next_id(), manifest.base, version.id, stage, now())
    with versions.staging() as folder:
        for name in manifest.files:
            (folder / name).write_bytes((version.folder / name).read_bytes())
        weights = load_file(folder / "adapter_model.safetensors")
        other = {name: weight * (factor if "lora_B" in name else 1) for name, weight in weights.items()}
        save_file(other, folder / "adapter_model.safetensors")
        return versions.add(child, folder)
