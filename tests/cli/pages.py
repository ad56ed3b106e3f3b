"""What every page of the program must be: well-formed, and complete in one file that asks for nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

# Elements that could load or run something.
FORBIDDEN = {"script", "link", "iframe", "object", "embed", "base", "form"}


class References(HTMLParser):
    """Collects what a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in FORBIDDEN:
            self.problems.append(f"holds <{tag}>")
        for name, value in attrs:
            text = value or ""
            if name.startswith("on"):
                self.problems.append(f"<{tag} {name}> runs a script")
            local = text.startswith("data:") or text.startswith("#")
            if name in ("src", "href", "srcset", "poster", "action", "xlink:href") and not local:
                self.problems.append(f"<{tag} {name}> refers to {text[:60]!r}")
            if re.search(r"url\(|@import", text):
                self.problems.append(f"<{tag} {name}> loads something by its style")


def check_page(path: Path, patterns: list[str]) -> list[str]:
    """Problems of one page; `patterns` must each be in its text."""
    if not path.is_file():
        return [f"did not make {path.name}"]
    text = path.read_text(encoding="utf-8")
    problems = []
    try:
        root = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>"))
    except ElementTree.ParseError as error:
        return [f"{path.name} is not well-formed: {error}"]
    parser = References()
    parser.feed(text)
    problems += parser.problems
    style = "".join(element.text or "" for element in root.iter("style"))
    if re.search(r"url\(|@import|https?:", style):
        problems.append("the style sheet loads something")
    for svg in root.iter("svg"):
        if svg.get("viewBox") is None or not (svg.get("aria-label") or svg.get("aria-hidden")):
            problems.append("a figure has no view box or no description")
    problems += [f"lacks /{pattern}/" for pattern in patterns if not re.search(pattern, text)]
    return [f"{path.name}: {problem}" for problem in problems]
