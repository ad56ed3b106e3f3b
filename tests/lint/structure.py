"""House rules that a machine can check: include directions, sizes, tables, machine paths, notes left behind."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

# A folder may include what stands to its right: cli -> run -> middle -> torchscript -> kernels -> base.
ALLOWED = {
    "base": set(),
    "kernels": {"base"},
    "torchscript": {"kernels", "base"},
    "bundle": {"torchscript", "kernels", "base"},
    "schedule": {"torchscript", "kernels", "base"},
    "cache": {"torchscript", "kernels", "base"},
    "output": {"torchscript", "kernels", "base"},
    "quality": {"torchscript", "kernels", "base"},
    "page": {"base"},
    "run": {"bundle", "schedule", "cache", "output", "quality", "page", "torchscript", "kernels", "base"},
    "cli": {"run", "bundle", "schedule", "cache", "output", "quality", "page", "torchscript", "kernels", "base"},
}
EXTRA_INCLUDES = {("cache", "bundle/denoiser.h")}  # the seam between a model and the cache
# Written in pieces, so that this file does not find itself.
FORBIDDEN = [
    (re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b"), "note left behind"),
    (re.compile(r"(^|[^.\w])/(wo" r"rk|ro" r"ot|fa" r"rm)/|\.\./sha" r"red"), "path of one machine"),
]


def tracked(*patterns: str) -> list[Path]:
    names = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in names.stdout.splitlines() if (ROOT / name).is_file()]


def check_includes(path: Path) -> list[str]:
    relative = path.relative_to(ROOT / "src")
    if len(relative.parts) < 2:
        return []
    folder = relative.parts[0]
    problems = []
    for target in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE):
        other = target.split("/")[0]
        known = other in ALLOWED
        if known and other != folder and other not in ALLOWED[folder] and (folder, target) not in EXTRA_INCLUDES:
            problems.append(f"{path.relative_to(ROOT)}: {folder} must not include {target}")
    return problems


def check_sizes(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    problems = []
    if len(lines) > MAX_FILE_LINES:
        problems.append(f"{path.relative_to(ROOT)}: {len(lines)} lines, limit {MAX_FILE_LINES}")
    start = None
    for number, line in enumerate(lines, 1):
        # A function body of namespace or class level ends with a brace in column 0 or 2.
        if re.match(r"^( {2})?[\w:~<].*\) .*\{$|^( {2})?[\w:~<].*\)( const)?( noexcept)?( override)? \{$", line):
            start = (number, len(line) - len(line.lstrip()))
        elif start and re.match(rf"^ {{{start[1]}}}\}}", line):
            if number - start[0] + 1 > MAX_FUNCTION_LINES:
                name = f"{path.relative_to(ROOT)}:{start[0]}"
                problems.append(f"{name}: function of {number - start[0] + 1} lines, limit {MAX_FUNCTION_LINES}")
            start = None
    return problems


def check_text(path: Path) -> list[str]:
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return []
    name = path.relative_to(ROOT)
    found = [(pattern.search(text), what) for pattern, what in FORBIDDEN]
    return [f"{name}: {what}: {match.group(0)!r}" for match, what in found if match]


def check_headers(path: Path) -> list[str]:
    text = path.read_text()
    name = path.relative_to(ROOT)
    problems = []
    if not text.startswith("//"):
        problems.append(f"{name}: does not open with what it is")
    if "#pragma once" not in text:
        problems.append(f"{name}: no #pragma once")
    allowed = name.parts[1] in ("torchscript", "bundle") or name.name == "libav.h"
    if not allowed and re.search(r"#include <(torch/|ATen/ATen\.h|libav)", text):
        problems.append(f"{name}: a header includes a heavy library header")
    if "using namespace" in text:
        problems.append(f"{name}: using namespace in a header")
    return problems


def main() -> int:
    problems: list[str] = []
    for path in tracked("src/*.h", "src/*.cc", "src/*.cu"):
        problems += check_includes(path) + check_sizes(path)
    for path in tracked("src/*.h"):
        problems += check_headers(path)
    for path in tracked("models/*.py", "tests/*.py", "tests/*.cc", "tests/*.h"):
        lines = len(path.read_text().splitlines())
        if lines > MAX_FILE_LINES:
            problems.append(f"{path.relative_to(ROOT)}: {lines} lines, limit {MAX_FILE_LINES}")
    for path in tracked():
        problems += check_text(path)
    for problem in problems:
        print(problem)
    print(f"structure: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
