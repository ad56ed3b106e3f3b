"""Runs the command-line cases: each is a command, an exit code, and what stdout, stderr and the folder must then hold.

    python3 tests/cli/run.py build/release/bwcache-gen [case …]

A case file is a list of {"name", "why", "args", "exit", …}; see `check`, `prepare` and `run_case` for the other keys.
Every command runs in an empty folder; {bundle} is a private copy of the tiny bundle, {data} the folder of test data,
{fake_driver} that of support/fake_driver.cc.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pages import check_page

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "data"
Case = dict[str, Any]


def edit_json(path: Path, changes: dict[str, Any]) -> None:
    """Sets "a.b.0.c" paths; null deletes the key, * stands for the only one there is."""
    document = json.loads(path.read_text())
    for dotted, value in changes.items():
        *parents, last = [int(part) if part.isdigit() else part for part in dotted.split(".")]
        node = document
        for part in parents:
            if part == "*":
                (part,) = node
            node = node[part]
        if value is None:
            del node[last]
        else:
            node[last] = value
    path.write_text(json.dumps(document))


def rehash(bundle: Path) -> None:
    """Makes the manifest agree with changed code again, so that a later check is the one that fires."""
    manifest = bundle / "model.json"
    document = json.loads(manifest.read_text())
    for dtypes in document["code"].values():
        for entry in dtypes.values():
            entry["sha256"] = hashlib.sha256((bundle / entry["file"]).read_bytes()).hexdigest()
    manifest.write_text(json.dumps(document))


def edit_code(archive: Path, old: str, new: str) -> None:
    """Replaces text in the code of a TorchScript archive (a zip file of stored records)."""
    with zipfile.ZipFile(archive) as before:
        records = [(info.filename, before.read(info)) for info in before.infolist()]
    assert any(old.encode() in content for _, content in records), f"{archive} does not hold {old!r}"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as after:
        for name, content in records:
            after.writestr(name, content.replace(old.encode(), new.encode()) if name.endswith(".py") else content)


def prepare(case: Case, folder: Path, bundle: Path) -> None:
    for name, text in case.get("files", {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = text if isinstance(text, str) else json.dumps(text)
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    for name, source in case.get("copies", {}).items():
        shutil.copy(DATA / source, folder / name)
    for step in case.get("damage", []):
        target = bundle / step.get("file", "model.json")
        if "remove" in step:
            (bundle / step["remove"]).unlink()
        elif "truncate" in step:
            with target.open("r+b") as handle:
                handle.truncate(step["truncate"])
        elif "flip" in step:
            content = bytearray(target.read_bytes())
            content[step["flip"]] ^= 1
            target.write_bytes(bytes(content))
        elif "replace" in step:
            old, new = (text.encode() for text in step["replace"])
            content = target.read_bytes()
            assert old in content, f"{target} does not hold {old!r}"
            target.write_bytes(content.replace(old, new))
        elif "code" in step:
            edit_code(target, *step["code"])
        elif "set" in step:
            edit_json(target, step["set"])
        elif "swap" in step:
            shutil.copy(bundle / step["swap"], target)
        if step.get("rehash"):
            rehash(bundle)


def check(case: Case, result: subprocess.CompletedProcess[str], folder: Path) -> list[str]:
    problems = []
    if result.returncode != case.get("exit", 0):
        problems.append(f"exit {result.returncode}, expected {case.get('exit', 0)}")
    for stream in ("stdout", "stderr"):
        text = getattr(result, stream)
        for pattern in case.get(stream, []):
            if not re.search(pattern, text):
                problems.append(f"{stream} lacks /{pattern}/")
        for pattern in case.get(f"{stream}_lacks", []):
            if re.search(pattern, text):
                problems.append(f"{stream} holds /{pattern}/")
    if "terminate called" in result.stderr or "Exception raised from" in result.stderr:
        problems.append("stderr holds a stack trace")
    for name in case.get("makes", []):
        if not (folder / name).is_file() or (folder / name).stat().st_size == 0:
            problems.append(f"did not make {name}")
    for name, patterns in case.get("pages", {}).items():
        problems += check_page(folder / name, patterns)
    problems += [f"made {name}" for name in case.get("lacks", []) if (folder / name).exists()]
    if case.get("exit", 0) not in (0, 6, 130) and not case.get("leaves"):
        left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        left -= set(case.get("files", {})) | set(case.get("copies", {}))
        if left:
            problems.append(f"left behind: {sorted(left)}")
    for path in folder.rglob("*.part*"):
        problems.append(f"partial file: {path.name}")
    return problems


def run_command(command: list[str], folder: Path, env: dict[str, str], case: Case) -> subprocess.CompletedProcess[str]:
    """Runs to the end, or sends SIGINT once stderr holds `interrupt`; no file may grow beyond `file_limit`."""
    encoded = [os.fsencode(arg) for arg in command]
    pipe = subprocess.PIPE
    interrupt = case.get("interrupt")

    def limit() -> None:  # what a full disk looks like to the program
        if size := case.get("file_limit"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    with subprocess.Popen(
        encoded, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, preexec_fn=limit
    ) as process:
        early = b""
        assert process.stderr is not None
        while interrupt is not None and (line := process.stderr.readline()):
            early += line
            if interrupt.encode() in line:
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=100)
    texts = [stream.decode("utf-8", "replace") for stream in (out, early + err)]
    return subprocess.CompletedProcess(command, process.returncode, *texts)


def fill(text: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        text = text.replace(key, value)
    return text


def run_case(program: str, case: Case) -> tuple[str, list[str]]:
    with tempfile.TemporaryDirectory() as scratch:
        folder, bundle = Path(scratch) / "folder", Path(scratch) / "bundle"
        folder.mkdir()
        shutil.copytree(DATA / "bundles" / case.get("bundle", "tiny-wan"), bundle)
        prepare(case, folder, bundle)
        values = {"{bundle}": str(bundle), "{data}": str(DATA), "{long}": "fox " * 2500}
        values["{fake_driver}"] = str(Path(program).parent / "tests" / "fake_driver")
        env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        for variable, text in case.get("env", {}).items():
            env[variable] = fill(text, values)
        problems: list[str] = []
        commands = [*case.get("before", []), case["args"]]
        for number, command in enumerate(commands):
            args = [fill(arg, values) for arg in command]
            is_last = number + 1 == len(commands)
            for name, changes in case.get("edit", {}).items() if is_last else ():  # of what `before` made
                edit_json(folder / name, changes)
            result = run_command([program, *args], folder, env, case if is_last else {})
            if is_last:
                problems += check(case, result, folder)
            elif result.returncode != 0:
                problems.append(f"preparation failed ({result.returncode}): {result.stderr[-500:]}")
                break
        if case.get("same"):
            first, second = ((folder / name).read_bytes() for name in case["same"])
            if first != second:
                problems.append(f"{case['same']} differ")
        if problems:
            problems.append("stderr: " + result.stderr[-800:])
        return case["name"], problems


def main() -> int:
    program, *wanted = sys.argv[1:]
    program = str(Path(program).resolve())
    cases = [case for path in sorted((HERE / "cases").glob("*.json")) for case in json.loads(path.read_text())]
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), "two cases of one name"
    cases = [case for case in cases if not wanted or case["name"] in wanted]
    failed = 0
    with ThreadPoolExecutor(max_workers=2) as pool:
        for name, problems in pool.map(lambda case: run_case(program, case), cases):
            if problems:
                failed += 1
                print(f"FAILED {name}\n  " + "\n  ".join(problems))
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
