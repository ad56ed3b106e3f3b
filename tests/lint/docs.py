"""Documentation against the program: every flag, policy parameter and default that a page names must exist.

    python3 tests/lint/docs.py build/release/bwcache-gen
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Flags of other programs that pages mention.
FOREIGN = {
    "--python", "--checkpoint", "--out", "--minutes", "--resume", "--preset", "--all", "--lint", "--device", "--stage",
    "--cuda", "--stop-before-gpu", "--classifier",
    "--benchmark_filter", "--label-regex", "--data", "--smoke",
}


def output(program: str, *args: str) -> str:
    return subprocess.run([program, *args], capture_output=True, text=True, check=True).stdout


def known_flags(program: str) -> set[str]:
    commands = re.findall(r"^  ([a-z]+) {2,}", output(program, "--help").split("Subcommands:")[1], re.MULTILINE)
    text = output(program, "--help") + "".join(output(program, command, "--help") for command in commands)
    return set(re.findall(r"--[a-z][a-z_-]*", text)) | FOREIGN


def check_flags(flags: set[str]) -> list[str]:
    problems = []
    for page in PAGES:
        for number, line in enumerate(page.read_text().splitlines(), 1):
            for flag in re.findall(r"(?<![\w-])--[a-z][a-z_-]+", line):
                if flag.rstrip("-") not in flags:
                    problems.append(f"{page.relative_to(ROOT)}:{number}: {flag} is no flag of the program")
    return problems


def check_policies(program: str) -> list[str]:
    """`POLICY:key=value` in a page must name a policy and its parameters."""
    rows = json.loads(output(program, "list", "policies", "--json"))
    policies = {row["name"]: {param["name"] for param in row["params"]} | {"preset"} for row in rows}
    problems = []
    for page in PAGES:
        for name, params in re.findall(r"\b([a-z]+):((?:[a-z_]+=[\w.%:+]+,?)+)", page.read_text()):
            if name not in policies:
                continue
            for key in re.findall(r"(?:^|,)([a-z_]+)=", params):
                if key not in policies[name]:
                    problems.append(f"{page.relative_to(ROOT)}: {name} has no parameter {key}")
    return problems


def main() -> int:
    program = sys.argv[1]
    problems = check_flags(known_flags(program)) + check_policies(program)
    for problem in problems:
        print(problem)
    print(f"docs: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
