"""Start weights as timm publishes them on the Hugging Face hub: pinned, checked, cut to a backbone.

The hub's own client fetches: it resumes, caches (`HF_HOME`), works without network from that cache
(`HF_HUB_OFFLINE=1`), and takes a mirror's address (`HF_ENDPOINT`).
"""

import sys
from pathlib import Path
from textwrap import shorten
from typing import Any

from torch import nn

from tcmbench.common.contents import SAFETENSORS, demand, head
from tcmbench.common.errors import UserError
from tcmbench.common.files import sha256
from tcmbench.models.backbones import renamed
from tcmbench.models.weights import cut

NAME = "model.safetensors"


def pretrained(
    timm_name: str,
    model_args: dict[str, Any],
    revision: str | None = None,
    expected: str | None = None,
    file: Path | None = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """Build a backbone with its published weights, without the classifier.

    Args:
        timm_name: timm model name with its tag, which names the repository on the hub.
        model_args: further arguments of `timm.create_model`.
        revision: commit of that repository; None takes the newest.
        expected: SHA-256 of model.safetensors; None accepts any and says its hash.
        file: a model.safetensors that is here already, instead of the hub.

    Returns:
        The backbone, and for the record: repository, commit (None for a file by hand), hash.

    Raises:
        UserError: the file cannot be had, is another one, or does not fit.
    """
    repository = _repository(timm_name)
    path = _fetched(repository, revision) if file is None else file
    found = _checked(path, repository, expected)
    commit = path.parent.name if file is None else None
    backbone = cut(timm_name, model_args, path)
    if expected is None:
        pins = "" if commit is None else f"revision: {commit} and "
        print(
            f"warning: nothing pins the weights of {timm_name}; accepted as they are, with "
            f"{pins}sha256: {found}, to be put into config.yaml",
            file=sys.stderr,
        )
    return backbone, {"hub": repository, "revision": commit, "file_sha256": found}


def answers(timm_name: str, revision: str | None, timeout_s: float) -> str:
    """Ask the hub, or its cache, for a backbone's file without fetching it.

    Returns:
        What is in the way, in a few words; nothing where it can be had.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

    repository = _repository(timm_name)
    if isinstance(try_to_load_from_cache(repository, NAME, revision=revision), str):
        return ""
    try:
        get_hf_file_metadata(hf_hub_url(repository, NAME, revision=revision), timeout=timeout_s)
    except Exception as error:  # the client raises its own, the network's and the system's
        return shorten(f"{type(error).__name__}: {error}", 100)
    return ""


def _repository(timm_name: str) -> str:
    import timm

    try:
        found = timm.get_pretrained_cfg_value(timm_name, "hf_hub_id")
    except RuntimeError as error:
        raise UserError(
            f"timm has no weights '{timm_name}' ({error}){renamed(timm_name)}; check the name"
        ) from None
    if not isinstance(found, str):
        raise UserError(
            f"timm publishes no weights of '{timm_name}' on the hub; name a tag that has some, or "
            "set 'weights: none' in the backbone's entry of config.yaml"
        )
    return found


def _fetched(repository: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, NAME, revision=revision))
    except Exception as error:  # the client raises its own, the network's and the system's
        reason = shorten(f"{type(error).__name__}: {error}", 200)
        raise UserError(
            f"{NAME} of {repository} at revision {revision or 'main'} cannot be had ({reason}); "
            "try again with network, or fetch it by hand and name it as 'file' of the backbone in "
            "config.yaml"
        ) from None


def _checked(path: Path, repository: str, expected: str | None) -> str:
    try:
        found = sha256(path)
    except FileNotFoundError:
        raise UserError(f"weights {path} do not exist; check 'file' in config.yaml") from None
    demand(head(path), str(path), SAFETENSORS)
    if expected not in (None, found):
        raise UserError(
            f"{path} is not the {NAME} of {repository} that is wanted: its sha256 is {found} "
            f"instead of {expected}; delete it and fetch it again, or correct 'sha256' in "
            "config.yaml"
        )
    return found
