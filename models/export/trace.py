"""Traces a Part and writes it as an archive without weights.

Parameters move to the meta device after tracing (tracing on meta stumbles over tensor constants), buffers and captured
constants keep their values: that difference tells the loader what to bind. Debug records hold paths of the exporting
machine and example inputs, so they are dropped; what is left depends on the model alone.
"""

import io
import re
import warnings
import zipfile
from pathlib import Path

import torch

from models.export.parts import Part

# Operators that would make the code depend on the machine or the example it was traced with.
_MACHINE = re.compile(r'torch\.device\("(?!meta)[^"]*"\)')
_NUMBERS = re.compile(r"ops\.prim\.NumToTensor\(\d+\)|annotate\(number")
_OPERATOR = re.compile(r"\b(?:torch\.([A-Za-z_][\w.]*)|ops\.([A-Za-z_][\w.]*))\(")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class LintError(RuntimeError):
    """The traced code is not what the contract allows."""


def trace(part: Part) -> torch.jit.ScriptModule:
    """All methods of a Part in one module, parameters on the meta device."""
    part.module.requires_grad_(False).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TracerWarnings: what they warn of is tested on a second shape
        traced = torch.jit.trace_module(part.module, part.methods, check_trace=False)
    for module in traced.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            module._c.setattr(name, parameter.detach().to("meta"))
    return traced


def archive(traced: torch.jit.ScriptModule, name: str) -> bytes:
    """The bytes of the archive: the same for the same model, on every machine."""
    raw = io.BytesIO()
    torch.jit.save(traced, raw)
    raw.seek(0)
    out = io.BytesIO()
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(out, "w") as target:
        for entry in source.infolist():
            record = entry.filename.split("/", 1)[1]
            if record.endswith(".debug_pkl") or record.startswith(("traced_inputs", ".data/serialization_id")):
                continue
            info = zipfile.ZipInfo(f"{name}/{record}", _EPOCH)
            is_code = record.startswith("code/")
            info.compress_type = zipfile.ZIP_DEFLATED if is_code else zipfile.ZIP_STORED
            target.writestr(info, source.read(entry))
    return out.getvalue()


def sources(data: bytes) -> dict[str, str]:
    """The code records of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        names = [n for n in source.namelist() if "/code/" in n and n.endswith(".py")]
        return {n.split("/code/", 1)[1]: source.read(n).decode() for n in names}


def operators(data: bytes) -> set[str]:
    """Names of the operators that an archive calls, as they are written in its code."""
    found: set[str] = set()
    for code in sources(data).values():
        found |= {(a or "ops." + b) for a, b in _OPERATOR.findall(code)}
    return found


def lint(data: bytes, forbidden: frozenset[int]) -> None:
    """Refuse device constants and sizes of the example that were baked in, as far as they can be seen."""
    for record, code in sources(data).items():
        for pattern, what in ((_MACHINE, "a device constant"), (_NUMBERS, "a number made from a shape")):
            hit = pattern.search(code)
            if hit:
                raise LintError(f"{record}: {what}: {hit.group(0)}")
        body = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith("__"))
        for number in sorted(forbidden):
            hit = re.search(rf"(?<![\w.\"]){number}(?![\w.\"])", body)
            if hit:
                line = body[: hit.start()].count("\n")
                raise LintError(f"{record}: the example's size {number} is baked in: {body.splitlines()[line].strip()}")


def export(part: Part, path: Path) -> None:
    """Trace, check and write one archive."""
    data = archive(trace(part), path.stem.split(".")[0])
    lint(data, part.forbidden)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
