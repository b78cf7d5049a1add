"""Backups on the Hugging Face Hub: they contain all conversations, so their dataset or bucket must be private."""

import re

from feedback_store.errors import BackupFailed
from feedback_store.optional_packages import optional_package

_URL = re.compile(r"hf://(datasets|buckets)/([^/@]+/[^/@]+)(@[^/]+)?(/.*)?")


def check(url: str, create: bool) -> None:
    """Check that a dataset or bucket exists and is private; with `create`, make a missing one as private.

    Raises: BackupFailed, MissingDependency, and the errors of the Hub's client.
    """
    library = optional_package("huggingface_hub", "hf:// URLs")
    match = _URL.fullmatch(url)
    if not match:
        raise BackupFailed(
            f"{url} cannot hold backups. Use hf://buckets/NAME/BUCKET or hf://datasets/NAME/DATASET."
        )
    api, kind, name = library.HfApi(), match[1], match[2]
    try:
        private = _is_private(api, kind, name)
    except (library.errors.RepositoryNotFoundError, library.errors.BucketNotFoundError) as error:
        if not create:
            raise BackupFailed(
                f"{url} does not exist, or your token has no access to it. Check the name; log in with `hf auth login` "
                "or set HF_TOKEN."
            ) from error
        if kind == "datasets":
            api.create_repo(name, repo_type="dataset", private=True, exist_ok=True)
        else:
            api.create_bucket(name, private=True, exist_ok=True)
        private = _is_private(api, kind, name)
    if not private:
        raise BackupFailed(
            f"{url} is public, and a backup contains all conversations. Make it private, or choose another URL."
        )


def _is_private(api: object, kind: str, name: str) -> bool:
    if kind == "datasets":
        return bool(api.repo_info(name, repo_type="dataset").private)  # type: ignore[attr-defined]
    return bool(api.bucket_info(name).private)  # type: ignore[attr-defined]
