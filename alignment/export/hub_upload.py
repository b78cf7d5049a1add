"""An exported version on the Hugging Face Hub."""

from pathlib import Path

from alignment.errors import ExportError


def push(folder: Path, repository: str, message: str) -> str:
    """Upload a folder to a model repository, created as private if it is missing; the commit's address.

    The token is that of `hf auth login`, or HF_TOKEN. Raises ExportError.
    """
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        api.create_repo(repository, private=True, exist_ok=True)
        commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
    # The Hub's client raises its own errors, those of its HTTP library, and plain ones for a bad name.
    except Exception as error:
        raise ExportError(
            f"The Hub did not take {folder} for {repository}: {error!s:.500} Check the name, the network, and that "
            "`hf auth whoami` names who may write there. The folder is whole: push it again with `hf upload`."
        ) from error
    return str(commit.commit_url)
