"""One set of weights: goldens, cache presets and the tables of the documentation must stand on those in the repository.

    python3 tests/lint/weights.py

CONTRIBUTING.md (Figures and their weights) has the rules. What fails is printed as a problem; tables that a page itself
calls earlier are only listed.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = Path("models/default/bundle")
DIGITS = 12
# Pages that must say whether their tables are current; the second one exists once the model has been evaluated.
CLAIMING = (Path("docs/benchmarks.md"), Path("models/default/MODEL_CARD.md"))
CLAIMS = ("current", "earlier")
INDEPENDENT = "any"
LINE = re.compile(r"^weights: *(.*?)\s*$")
# Columns whose figures come from pictures that the model made or text that it read: they change with the weights.
MEASURED = re.compile(r"\b(psnr|ssim|lpips|vmaf|db|accuracy)\b", re.IGNORECASE)


@dataclass
class Findings:
    """problems fail the check, notes do not."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Table:
    line: int
    header: str
    weights: str | None  # the value of the line under it


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def weights_hash(entries: list[dict[str, str]]) -> str:
    """What names a bundle's weights: the file's sha256; of several files, the sha256 of theirs, a line each."""
    if len(entries) == 1:
        return entries[0]["sha256"]
    return hashlib.sha256("".join(entry["sha256"] + "\n" for entry in entries).encode()).hexdigest()


def metadata(path: Path) -> dict[str, str]:
    """`__metadata__` of a safetensors file."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(size))
    found: dict[str, str] = header.get("__metadata__", {})
    return found


def check_bundle(root: Path, bundle: Path, found: Findings) -> str:
    """Weight files, goldens and presets of one bundle; returns the hash that the manifest gives its weights."""
    manifest = json.loads((root / bundle / "model.json").read_text())
    for entry in manifest["weights"]:
        file = bundle / entry["file"]
        if sha256(root / file) != entry["sha256"]:
            found.problems.append(f"{file}: its sha256 is not the manifest's; export the bundle again")
    current = weights_hash(manifest["weights"])
    for name in manifest.get("golden", []):
        weights = metadata(root / bundle / name).get("weights", "none")
        if weights != current:
            made = f"made with weights {weights[:DIGITS]}, the bundle has {current[:DIGITS]}"
            found.problems.append(f"{bundle}/{name}: {made}; export the bundle again")
    for name, preset in manifest.get("cache_presets", {}).items():
        weights = str(preset.get("measured", {}).get("weights", "none"))
        if weights != current[:DIGITS]:
            place = f"{bundle}/model.json: cache_presets.{name}.measured.weights"
            found.problems.append(f"{place}: is {weights}, the bundle has {current[:DIGITS]}; measure the preset again")
    return current


def read_page(text: str) -> tuple[str | None, list[Table], list[str]]:
    """The page's claim, its tables outside of code, and `weights:` lines that stand nowhere or say nothing."""
    claim: str | None = None
    tables: list[Table] = []
    stray: list[str] = []
    in_code = in_table = False
    waiting = False  # the last thing that was not blank is a table without its line
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code, waiting, in_table = not in_code, False, False
        elif in_code or not line.strip():
            in_table = False
        elif line.startswith("|"):
            if not in_table:
                tables.append(Table(number, line, None))
            in_table = waiting = True
        elif match := LINE.match(line):
            value = match[1]
            if waiting and (value == INDEPENDENT or re.fullmatch(rf"[0-9a-f]{{{DIGITS}}}", value)):
                tables[-1] = Table(tables[-1].line, tables[-1].header, value)
            elif not tables and claim is None and value in CLAIMS:
                claim = value
            else:
                stray.append(f"{number}: 'weights: {value}'")
            in_table = waiting = False
        else:
            in_table = waiting = False
    return claim, tables, stray


def depends(table: Table) -> bool:
    return table.weights != INDEPENDENT and (table.weights is not None or MEASURED.search(table.header) is not None)


def check_page(page: Path, text: str, current: str, found: Findings) -> None:
    claim, tables, stray = read_page(text)
    for place in stray:
        found.problems.append(
            f"{page}:{place} is neither the page's claim (current or earlier, once, before the first table) "
            f"nor the line under a table ({DIGITS} hexadecimal digits, or {INDEPENDENT})"
        )
    dependent = [t for t in tables if depends(t)]
    if claim is None and (page in CLAIMING or dependent):
        found.problems.append(f"{page}: figures without a line 'weights: current' or 'weights: earlier' before them")
    listed = found.notes if claim == "earlier" else found.problems
    for table in tables if page in CLAIMING else dependent:
        place = f"{page}:{table.line}"
        if table.weights is None:
            listed.append(f"{place}: the table has no line 'weights: …' under it; the bundle has {current}")
        elif table.weights not in (INDEPENDENT, current):
            listed.append(f"{place}: stale: measured with weights {table.weights}, the bundle has {current}")
    if claim == "earlier" and dependent and all(t.weights == current for t in dependent):
        found.problems.append(f"{page}: says 'weights: earlier', but all its tables are current; say so")


def check(root: Path) -> Findings:
    found = Findings()
    current = check_bundle(root, DEFAULT, found)
    for manifest in sorted((root / "tests/data/bundles").glob("*/model.json")):
        check_bundle(root, manifest.parent.relative_to(root), found)
    pages = {*(root / "docs").glob("*.md"), *(root / page for page in CLAIMING)}
    for page in sorted(p for p in pages if p.is_file()):
        check_page(page.relative_to(root), page.read_text(), current[:DIGITS], found)
    return found


def main() -> int:
    found = check(ROOT)
    for line in found.problems:
        print(line)
    for line in found.notes:
        print(f"note: {line}")
    print(f"weights: {len(found.problems)} problems")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
