"""Backups on the Hub hold everybody's conversations: only a private dataset or bucket may have them."""

import re

from feedback_store.errors import BackupFailed
from feedback_store.optional_packages import optional_package

_URL = re.compile(r"hf://(datasets|buckets)/([^/@]+/[^/@]+)(@[^/]+)?(/.*)?")


def check(url: str, create: bool) -> None:
    """See that a dataset or bucket is there and private; with `create` make it so where there is none.

    Raises: BackupFailed, MissingDependency, and what the Hub's client raises.
    """
    library = optional_package("huggingface_hub", "hf:// URLs")
    found = _URL.fullmatch(url)
    if not found:
        raise BackupFailed(
            f"{url} is no place for backups. Write hf://buckets/NAME/BUCKET or hf://datasets/NAME/DATASET."
        )
    api, kind, name = library.HfApi(), found[1], found[2]
    try:
        private = _is_private(api, kind, name)
    except (library.errors.RepositoryNotFoundError, library.errors.BucketNotFoundError) as error:
        if not create:
            raise BackupFailed(
                f"There is no {url}, or the token here may not see it. Check the name; log in with `hf auth login` "
                "or set HF_TOKEN."
            ) from error
        if kind == "datasets":
            api.create_repo(name, repo_type="dataset", private=True, exist_ok=True)
        else:
            api.create_bucket(name, private=True, exist_ok=True)
        private = _is_private(api, kind, name)
    if not private:
        raise BackupFailed(
            f"{url} is public, and a backup holds everybody's conversations. Make it private, or name another place."
        )


def _is_private(api: object, kind: str, name: str) -> bool:
    if kind == "datasets":
        return bool(api.repo_info(name, repo_type="dataset").private)  # type: ignore[attr-defined]
    return bool(api.bucket_info(name).private)  # type: ignore[attr-defined]
