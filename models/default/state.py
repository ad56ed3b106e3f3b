"""Training states and JSON files: written whole or not at all. Needs torch alone; checkpoint.py holds what
inference reads.

A *training state* is one file with everything that is needed to go on exactly.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


class ConfigMismatch(ValueError):
    """A checkpoint of another configuration; the message names what differs."""


class NotWritten(OSError):
    """A file could not be written (a full disk, say); what it should have replaced is untouched."""


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    part = f"{path}.part"
    with open(part, "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")
    os.replace(part, path)


def save_state(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Atomic: the old state stays whole until the new one is on the disk. Throws NotWritten, with no half
    file left to fill the disk."""
    part = Path(f"{path}.part")
    try:
        with part.open("wb") as f:
            torch.save(dict(state), f)
            f.flush()
            os.fsync(f.fileno())
    except (OSError, RuntimeError) as e:  # torch's own writer reports a full disk as RuntimeError
        part.unlink(missing_ok=True)
        kept = "the last state is still whole there" if Path(path).exists() else "no earlier state is there"
        raise NotWritten(f"{path} could not be written ({e}); {kept}: make room and go on with --resume") from e
    os.replace(part, path)


def load_state(path: str | os.PathLike[str], config: Mapping[str, Any], device: str = "cpu") -> dict[str, Any]:
    """A training state, refused where its `config` is not the given one."""
    state = torch.load(path, map_location=device, weights_only=True)
    refuse_other(state["config"], config, str(path))
    return state


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return [
        f"{k}: {found.get(k, 'absent')} there, {wanted.get(k, 'absent')} here"
        for k in sorted(set(found) | set(wanted))
        if plain(found.get(k)) != plain(wanted.get(k))
    ]


def refuse_other(found: Mapping[str, Any], wanted: Mapping[str, Any], path: str) -> None:
    if other := differences(found, wanted):
        raise ConfigMismatch(f"{path} was made with another configuration ({'; '.join(other)})")


def plain(value: Any) -> Any:
    """Tuples and lists alike, as after a round trip through JSON."""
    return json.loads(json.dumps(value))
