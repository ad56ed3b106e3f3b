"""The check of tests/lint/weights.py on small repositories, good and bad in one thing each."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/lint"))
import weights as lint  # noqa: E402

TABLE = "| plan | PSNR |\n|---|---|\n| a | 30 |\n"


def safetensors(metadata: dict[str, str], data: bytes = b"") -> bytes:
    header = json.dumps({"__metadata__": metadata}).encode()
    return len(header).to_bytes(8, "little") + header + data


class Repository:
    """A bundle whose golden and preset are of its weights, and a page that says so."""

    def __init__(self, root: Path) -> None:
        self.root, self.bundle = root, root / lint.DEFAULT
        for folder in (self.bundle / "weights", self.bundle / "golden", root / "docs"):
            folder.mkdir(parents=True)
        (self.bundle / "weights/model.safetensors").write_bytes(safetensors({}, b"weights"))
        self.full = lint.sha256(self.bundle / "weights/model.safetensors")
        self.hash = self.full[: lint.DIGITS]
        (self.bundle / "golden/text.safetensors").write_bytes(safetensors({"weights": self.full}))
        self.manifest = {
            "weights": [{"file": "weights/model.safetensors", "sha256": self.full}],
            "golden": ["golden/text.safetensors"],
            "cache_presets": {"balanced": {"cache": {}, "measured": {"weights": self.hash}}},
        }
        self.page(f"weights: current\n\n{TABLE}\nweights: {self.hash}\n")

    def page(self, text: str, name: str = "docs/benchmarks.md") -> None:
        (self.root / name).write_text("# Page\n\n" + text)

    def check(self) -> lint.Findings:
        (self.bundle / "model.json").write_text(json.dumps(self.manifest))
        return lint.check(self.root)

    def problem(self) -> str:
        """The only problem there must be."""
        found = self.check()
        assert len(found.problems) == 1, found
        return found.problems[0]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_everything_of_one_set_of_weights_passes(repository: Repository) -> None:
    assert repository.check() == lint.Findings()


def test_weights_other_than_the_manifest_are_a_problem(repository: Repository) -> None:
    (repository.bundle / "weights/model.safetensors").write_bytes(safetensors({}, b"retrained"))
    assert "weights/model.safetensors: its sha256 is not" in repository.problem()


@pytest.mark.parametrize("metadata", [{}, {"weights": "0" * 64}], ids=["none", "other"])
def test_golden_of_other_weights_is_a_problem(repository: Repository, metadata: dict[str, str]) -> None:
    (repository.bundle / "golden/text.safetensors").write_bytes(safetensors(metadata))
    assert "golden/text.safetensors: made with weights" in repository.problem()


@pytest.mark.parametrize("measured", [None, {"psnr": 30}, {"weights": "0" * 12}], ids=["nothing", "no hash", "other"])
def test_preset_of_other_weights_is_a_problem(repository: Repository, measured: dict[str, str] | None) -> None:
    preset = {"cache": {}} if measured is None else {"cache": {}, "measured": measured}
    repository.manifest["cache_presets"] = {"balanced": preset}
    assert "cache_presets.balanced.measured.weights: is" in repository.problem()


def test_hash_of_several_weight_files_depends_on_their_order() -> None:
    one, two = {"sha256": "1" * 64}, {"sha256": "2" * 64}
    assert lint.weights_hash([one]) == one["sha256"]
    assert len({lint.weights_hash(w) for w in ([one], [two], [one, two], [two, one])}) == 4


BAD_PAGES = {
    "stale table": (
        "weights: current\n\n{table}\nweights: 0123456789ab\n",
        "5: stale: measured with weights 0123456789ab",
    ),
    "table without its line": ("weights: current\n\n{table}\n", "5: the table has no line"),
    "text between table and line": ("weights: current\n\n{table}\nSo it is.\n\nweights: {hash}\n", None),
    "line of a second table missing": (
        "weights: current\n\n{table}\nweights: {hash}\n\n{table}\n",
        "11: the table has no line",
    ),
    "no claim": ("{table}\nweights: {hash}\n", "figures without a line 'weights: current'"),
    "claim after the table": ("{table}\nweights: {hash}\n\nweights: current\n", None),
    "short hash": ("weights: current\n\n{table}\nweights: 0123\n", None),
    "unknown claim": ("weights: mostly\n\n{table}\nweights: {hash}\n", None),
    "claims to be earlier and is not": (
        "weights: earlier\n\n{table}\nweights: {hash}\n",
        "says 'weights: earlier', but all its tables are current",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_PAGES.values(), ids=BAD_PAGES.keys())
def test_bad_page_is_a_problem(repository: Repository, text: str, message: str | None) -> None:
    repository.page(text.format(table=TABLE, hash=repository.hash))
    if message is None:  # the line counts for nothing, and what it should have said is missing too
        problems = repository.check().problems
        assert len(problems) == 2 and any("is neither the page's claim" in p for p in problems), problems
    else:
        assert message in repository.problem()


def test_earlier_page_is_listed_and_passes(repository: Repository) -> None:
    repository.page(f"weights: earlier\n\n{TABLE}\nweights: 0123456789ab\n\n{TABLE}\n")
    found = repository.check()
    assert found.problems == []
    assert [n.split(": ")[0] for n in found.notes] == ["docs/benchmarks.md:5", "docs/benchmarks.md:11"]


def test_table_that_depends_on_no_weights_says_any(repository: Repository) -> None:
    repository.page(f"weights: current\n\n{TABLE}\nweights: {repository.hash}\n\n{TABLE}\nweights: any\n")
    assert repository.check() == lint.Findings()


def test_other_page_needs_lines_for_measured_tables_only(repository: Repository) -> None:
    repository.page("| flag | meaning |\n|---|---|\n| a | b |\n", "docs/using.md")
    assert repository.check() == lint.Findings()
    repository.page(TABLE, "docs/using.md")
    assert len(repository.check().problems) == 2  # neither claim nor line


def test_table_in_code_is_no_table(repository: Repository) -> None:
    repository.page(f"```\n{TABLE}weights: 0\n```\n", "docs/using.md")
    assert repository.check() == lint.Findings()


def test_model_card_is_checked_once_it_exists(repository: Repository) -> None:
    repository.page("Nothing measured yet.\n", "models/default/MODEL_CARD.md")
    assert "MODEL_CARD.md: figures without a line" in repository.problem()


def test_repository_itself_passes() -> None:
    assert lint.check(ROOT).problems == []
