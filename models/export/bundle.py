"""Writes a bundle: archives, weights, tokenizer, goldens, and last the manifest that holds their hashes."""

import hashlib
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import jsonschema
import torch
from torch import Tensor

from models.export.parts import DTYPES, Family, Golden
from models.export.trace import export

SCHEMA = Path(__file__).parents[2] / "configs/schema/model.schema.json"
SAFETENSORS = {torch.float32: "F32", torch.bfloat16: "BF16", torch.int64: "I64", torch.uint8: "U8"}
# Keys of the manifest, in the order of the documentation.
ORDER = [
    *("format_version", "name", "family", "description", "licence", "attribution", "latent", "streams", "text"),
    *("text_dim", "text_tokens", "experts", "kinds", "text_encoder", "decoder", "code", "weights", "scheduler"),
    *("prediction_type", "guidance", "defaults", "cache_presets", "default_cache_preset", "golden"),
]


def sha256(path: Path) -> str:
    """Hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def validate(manifest: dict[str, Any]) -> None:
    """Raise ValidationError if the manifest does not follow the schema, ValueError if it contradicts itself."""
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(manifest)
    codes = set(manifest["code"])
    for expert in manifest["experts"]:
        if expert["from"] < expert["to"]:
            raise ValueError(f"expert {expert['name']}: from < to")
        wanted = {expert[k]["code"] for k in ("conditions", "time", "embed", "head")}
        wanted |= {manifest["kinds"][b["kind"]]["code"] for b in expert["blocks"]}
        if wanted - codes:
            raise ValueError(f"expert {expert['name']}: no code for {sorted(wanted - codes)}")
    for name, kind in manifest["kinds"].items():
        if kind.get("attention", kind["stages"][0]) not in kind["stages"]:
            raise ValueError(f"kind {name}: attention {kind['attention']!r} is none of its stages")
    for key in ("text_encoder", "decoder"):
        if key in manifest and manifest[key] not in codes:
            raise ValueError(f"{key}: no code for {manifest[key]!r}")
    for key in ("mean", "std"):
        if len(manifest["latent"][key]) != manifest["latent"]["channels"]:
            raise ValueError(f"latent.{key}: {manifest['latent']['channels']} values are needed")


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """A safetensors file whose bytes depend on its content only: wide elements first (alignment), then by name."""
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    chunks, offset = [], 0
    for name in sorted(tensors, key=lambda n: (-tensors[n].element_size(), n)):
        tensor = tensors[name].detach().contiguous()
        data = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        end = offset + len(data)
        header[name] = {"dtype": SAFETENSORS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        chunks.append(data)
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(len(text) + 8) % 64)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def write_weights(family: Family, out: Path) -> list[dict[str, str]]:
    """Weight files, copied where they exist already."""
    for name, tensors in family.weights.items():
        write_tensors(out / name, tensors)
    for name, source in family.shards.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, out / name)
    return [{"file": name, "sha256": sha256(out / name)} for name in [*family.weights, *family.shards]]


def write_code(family: Family, out: Path) -> dict[str, Any]:
    """All archives in all dtypes."""
    code: dict[str, Any] = {}
    for dtype_name, dtype in DTYPES.items():
        for name, part in family.parts(dtype).items():
            file = f"code/{name}.{dtype_name}.pt"
            export(part, out / file)
            code.setdefault(name, {})[dtype_name] = {"file": file, "sha256": sha256(out / file)}
    return code


def weights_hash(weights: list[dict[str, str]]) -> str:
    """What names the weights of a bundle: the file's sha256; of several files, the sha256 of theirs, a line each."""
    if len(weights) == 1:
        return weights[0]["sha256"]
    return hashlib.sha256("".join(entry["sha256"] + "\n" for entry in weights).encode()).hexdigest()


def write_goldens(goldens: dict[str, Golden], weights: str, out: Path) -> list[str]:
    """Golden files; their metadata says how they were made, and of which weights (weights_hash)."""
    for name, golden in goldens.items():
        write_tensors(out / f"golden/{name}.safetensors", golden.tensors, {**golden.metadata, "weights": weights})
    return [f"golden/{name}.safetensors" for name in goldens]


def write_manifest(manifest: dict[str, Any], out: Path) -> None:
    """Check and write model.json, keys in the order of the documentation."""
    validate(manifest)
    ordered = {key: manifest[key] for key in ORDER if key in manifest}
    (out / "model.json").write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")


def write(family: Family, out: Path) -> None:
    """The whole bundle; an earlier one at the same place is replaced file by file."""
    for folder in ("code", "weights", "golden"):
        shutil.rmtree(out / folder, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in family.files.items():
        (out / name).write_bytes(content)
    manifest = dict(family.manifest, code=write_code(family, out), weights=write_weights(family, out))
    goldens = write_goldens(family.goldens(), weights_hash(manifest["weights"]), out)
    if goldens:
        manifest["golden"] = goldens
    write_manifest(manifest, out)
