"""From rows to the page: what is read, chosen, written, and what the committed files hold."""

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark import make_prompts, thresholds
from benchmark.accuracy import Accuracy, reader, score
from benchmark.company import busy_seconds, mean_company
from benchmark.page import ROOT, replace
from benchmark.plot import draw
from benchmark.report import Circumstances, panels, report
from benchmark.resampling import resamples
from benchmark.results import results
from benchmark.rows import latents_name, read, series_of, tabulate
from made_up import ARMS, MadeUp

from models.default.captions import MOTIONS, canonical, held_out, mentioned
from models.default.classifier import targets

sys.path.insert(0, str(ROOT / "tests/lint"))
from weights import read_page

HERE = ROOT / "tests/bench/benchmark"


def committed() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / "prompts.jsonl").read_text().splitlines()]


def test_committed_prompts_are_what_the_script_draws() -> None:
    drawn = make_prompts.draw(make_prompts.PROMPTS)
    assert [p["scene"] for p in committed()] == drawn
    assert [p["prompt"] for p in committed()] == [canonical(s) for s in drawn]
    assert [p["mentioned"] for p in committed()] == [mentioned(s) for s in drawn]
    assert not {p["prompt"] for p in committed()} & set((HERE.parent / "tune.txt").read_text().splitlines())
    assert all(held_out(s) for s in drawn)
    assert set(Counter(s["motion"] for s in drawn).values()) == {len(drawn) // len(MOTIONS)}
    assert len({p["id"] for p in committed()}) == len({p["prompt"] for p in committed()}) == len(drawn) >= 48


@pytest.mark.parametrize("name", ["arms.json", "arms-quick.json"])
def test_arms_are_named_once(name: str) -> None:
    arms = [a["name"] for a in json.loads((HERE / name).read_text())["arms"]]
    assert len(set(arms)) == len(arms) >= 4


def test_rows_are_the_last_that_fit(made_up: MadeUp) -> None:
    earlier = {**made_up.rows[0], "blocks_computed": -1}
    other = {**made_up.rows[0], "identity": "of another model", "blocks_computed": -1}
    made_up.rows = [earlier, *made_up.rows, other]
    made_up.write()
    found = read(made_up.summary, made_up.file)
    assert len(found) == len(ARMS) * 12 * 2 == 192
    assert all(row["blocks_computed"] >= 0 for row in found)


def test_missing_rows_are_refused(made_up: MadeUp) -> None:
    made_up.rows.pop()
    made_up.write()
    with pytest.raises(ValueError, match="holds 191 of the 192 rows"):
        read(made_up.summary, made_up.file)


def test_times_are_medians_and_worst_frames_the_worst(made_up: MadeUp) -> None:
    made_up.summary["seeds"] = [42, 43]
    more = [{**row, "seed": 43, "seconds": {**row["seconds"], "denoise": 100.0}} for row in made_up.rows]
    for row in more:
        row["quality"] = {name: value - 2 for name, value in row["quality"].items()}
    made_up.rows += more
    made_up.write()
    table = tabulate(made_up.summary, read(made_up.summary, made_up.file))
    assert table.of("denoise", 0)[0] == pytest.approx((4 + 100) / 2)  # of 4, 4, 100, 100
    assert table.of("psnr_reference", 0)[0] == pytest.approx(29.0)
    assert table.of("psnr_reference_worst", 0)[0] == pytest.approx(27.0)
    assert [a.series for a in table.arms][3:] == ["unipc", *["bwcache R=1"] * 2, "unipc + bwcache R=1", "easycache"]


def test_reused_stages_count_as_parts_of_their_blocks(made_up: MadeUp) -> None:
    for row in made_up.rows:
        if row["arm"] == "easycache 0.1":  # every block ran, three quarters of each
            row |= {"blocks_computed": 400, "computed_fraction": 0.75}
    made_up.write()
    table = tabulate(made_up.summary, read(made_up.summary, made_up.file))
    assert table.of("blocks", table.index("easycache 0.1")) == pytest.approx(300)
    assert table.of("blocks", table.index("unipc 12")) == pytest.approx(100)


def test_two_arms_of_one_plan_are_refused(made_up: MadeUp) -> None:
    made_up.summary["arms"].append({**made_up.summary["arms"][-1], "name": "again"})
    with pytest.raises(ValueError, match=r"easycache 0\.1: the same plan as another arm"):
        read(made_up.summary, made_up.file)


def test_thresholds_nearest_to_the_wanted_shares() -> None:
    def point(threshold: float, interval: int, share: float) -> dict[str, Any]:
        return {"cache": {"threshold": threshold, "reuse_interval": str(interval)}, "computed_fraction": share}

    grid = thresholds.Grid("unipc", 25, (0.8, 0.5, 0.3), 1, fixed="rebuild=residual", intervals=(1, 2))
    points = [point(0.1, 1, 0.83), point(0.2, 1, 0.55), point(0.3, 1, 0.52), point(0.2, 2, 0.45)]
    chosen = thresholds.choose(points, grid)
    assert chosen == [("0.1", 1), ("0.3", 1), ("0.2", 2)]  # nothing is near to 0.3, and nothing of R = 2 to 0.8
    assert thresholds.arm(grid, chosen[0]) == {
        "name": "unipc 25 + bwcache 0.1 R=1", "sampler": "unipc", "steps": 25,
        "cache": "bwcache:threshold=0.1,reuse_interval=1,rebuild=residual"}  # fmt: skip


def test_thresholds_of_a_policy_without_intervals() -> None:
    grid = thresholds.Grid("euler", 50, (0.6, 0.5), 1, policy="teacache")
    points = [{"cache": {"threshold": t}, "computed_fraction": share} for t, share in ((0.1, 0.9), (0.2, 0.62))]
    chosen = thresholds.choose(points, grid)
    assert chosen == [("0.2", None)]
    assert thresholds.arm(grid, chosen[0]) == {
        "name": "teacache 0.2", "sampler": "euler", "steps": 50, "cache": "teacache:threshold=0.2"}  # fmt: skip
    with pytest.raises(ValueError, match="intervals belong to bwcache"):
        thresholds.Grid("euler", 50, (0.6,), 1, policy="teacache", intervals=(1,))


def test_settings_of_a_policy_with_a_table() -> None:
    grid = thresholds.Grid("euler", 50, (0.5,), 1, policy="lemica", vary="computed=50%,40%", table=True)
    points = [{"cache": {"computed": c}, "computed_fraction": share} for c, share in (("50%", 0.52), ("40%", 0.42))]
    chosen = thresholds.choose(points, grid)
    assert chosen == [("50%", None)]
    measured = {"policy": "lemica", "errors": "2:1;2", "computed": "30%"}
    assert thresholds.arm(grid, chosen[0], measured) == {
        "name": "lemica 50%", "sampler": "euler", "steps": 50, "cache": {**measured, "computed": "50%"}}  # fmt: skip


def test_arms_of_all_grids_have_names_of_their_own() -> None:
    fixed = [a["name"] for a in json.loads((HERE / "arms.json").read_text())["arms"]]
    tuned = [thresholds.arm(g, ("0.5", i))["name"] for g in thresholds.STANDARD for i in g.intervals or (None,)]
    assert len({*fixed, *tuned}) == len(fixed) + len(tuned)


def test_what_varies_is_named_unless_it_is_the_usual() -> None:
    grid = thresholds.Grid("euler", 50, (0.5,), 1, policy="bac", vary="bubbling=3", table=True)
    assert thresholds.arm(grid, ("3", None), {})["name"] == "bac bubbling=3"


def pretended(folder: Path, points: list[dict[str, Any]]) -> tuple[str, Path, Path]:
    """-> a program whose `tune` finds these points, where it keeps how it was called, and two prompts."""
    program, calls, prompts = folder / "program", folder / "calls", folder / "prompts.txt"
    table = {"cache": {"policy": "magcache", "ratios": "cond:1"}}
    program.write_text(f"""#!{sys.executable}
import json, sys
open({str(calls)!r}, "a").write(" ".join(sys.argv[1:]) + "\\n")
result = {{"tune": {{"points": {points}, "complete": True}}, "calibrate": {table}}}[sys.argv[1]]
json.dump(result, open(sys.argv[sys.argv.index("--save") + 1], "w"))
""")
    program.chmod(0o755)
    prompts.write_text("a fox\na cat\n")
    return str(program), calls, prompts


def test_a_tuned_run_measures_once(tmp_path: Path) -> None:
    grid = thresholds.Grid("euler", 50, (0.5,), 1, policy="magcache", vary="threshold=0.1,0.2", table=True)
    program, calls, prompts = pretended(tmp_path, [{"cache": {"threshold": "0.1"}, "computed_fraction": 0.5}])
    for _ in range(2):
        found = thresholds.calibrate([program], prompts, (grid,), tmp_path)
        assert [a["cache"] for a in found] == [{"policy": "magcache", "ratios": "cond:1", "threshold": "0.1"}]
    calibrated, tuned = calls.read_text().splitlines()
    few, table = next(tmp_path.glob("tune-magcache-euler-50-*.txt")), next(tmp_path.glob("table-magcache-*.json"))
    assert few.read_text() == "a fox\n"
    assert calibrated == f"calibrate --sampler euler --steps 50 --cache magcache --prompts {few} --save {table}"
    assert tuned.startswith(f"tune --config {table} --prompts {few} --vary threshold=0.1,0.2 --share 1")


def test_a_grid_without_a_setting_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, _, prompts = pretended(tmp_path, [])
    grid = thresholds.Grid("euler", 50, (0.2,), 1, policy="teacache")
    assert thresholds.calibrate([program], prompts, (grid,), tmp_path) == []
    assert "teacache: no setting computes about (0.2,) of the blocks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cache", "series"),
    [
        ({"policy": "bwcache", "params": {"rebuild": "linear", "reuse_interval": "2"}}, "bwcache-linear R=2"),
        ({"policy": "dbcache", "params": {"rebuild": "residual"}}, "fbcache"),
        ({"policy": "teacache", "params": {"polynomial": "1;0"}}, "teacache-fitted"),
        ({"policy": "teacache", "params": {"polynomial": "none"}}, "teacache"),
        ({"policy": "static", "params": {"site": "stage", "rebuild": "output"}}, "fora"),
        ({"policy": "static", "params": {"site": "stack", "rebuild": "linear"}}, "static forecast"),
        ({"policy": "static", "params": {"site": "stack", "rebuild": "taylor:2"}}, "static parabola"),
        ({"policy": "fastercache", "params": {"attention": "true"}}, "fastercache"),
        ({"policy": "fastercache", "params": {"attention": "false"}}, "cfg-cache"),
        ({"policy": "spectrum", "params": {"flex_window": "0"}}, "spectrum steady"),
        ({"policy": "compose", "params": {"step": "easycache&threshold=0.08", "block": "pab"}}, "easycache + pab"),
    ],
)
def test_series_of_a_cache(cache: dict[str, Any], series: str) -> None:
    assert series_of(cache) == series


def test_replace_keeps_what_is_written_by_hand() -> None:
    page = "# Page\n\n<!-- x: begin -->\nold\n<!-- x: end -->\n\nby hand\n"
    new = replace(page, "x", "new\n")
    assert new == "# Page\n\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\n\nby hand\n"
    assert replace(new, "x", "new") == new
    for broken in ("", "<!-- x: begin -->", "<!-- x: end --><!-- x: begin -->", page + page):
        with pytest.raises(ValueError, match="each once and in this order"):
            replace(broken, "x", "new")


class Look:
    """Reads every clip right but for the motion of one arm."""

    class Judge:
        def __init__(self) -> None:
            self.accuracy = {kind: dict.fromkeys(("subject", "motion"), 0.9) for kind in ("rendered", "round_trip")}

    def __init__(self, scene: dict[str, Any], wrong: str) -> None:
        self.scene, self.wrong, self.judge = scene, wrong, self.Judge()

    def read(self, file: Path) -> list[int]:
        classes = targets(self.scene)
        if file.name.startswith(f"id {self.wrong}-"):
            classes[1] += 1
        return classes


def reported(made_up: MadeUp, scores: bool, others: float | None) -> str:
    rows = read(made_up.summary, made_up.file)
    table = tabulate(made_up.summary, rows)
    scene = committed()[0]["scene"]
    prompts = [{"prompt": p, "scene": scene, "mentioned": ["subject", "motion"]} for p in made_up.summary["prompts"]]
    right: Accuracy | str = "no classifier; train one"
    if scores:
        right = score(Look(scene, "euler 25"), table, rows, prompts, Path())  # type: ignore[arg-type]
    made = Circumstances(made_up.summary, "0" * 12, "make benchmark", 50, others, 2)
    found = results(table, prompts, right, resamples(len(prompts), 200), made.timed())
    json.dumps(found.to_json())
    for panel in panels(found):  # no easycache, which another cache beats
        assert [c.name for c in panel.curves] == ["euler", "unipc", "bwcache R=1", "unipc + bwcache R=1"]
    if scores:
        draw(panels(found), "title", "y", made_up.file.with_name("a.svg"))
        draw(panels(found), "title", "y", made_up.file.with_name("b.svg"))
    return report(found, made, frozenset(), "a.svg")


def test_report_names_accuracy_gain_and_weights(made_up: MadeUp) -> None:
    text = reported(made_up, True, 0.1)
    claim, tables, stray = read_page("weights: current\n\n" + text)
    assert claim == "current" and not stray
    assert len(tables) == 6 and {t.weights for t in tables} == {"0" * 12}
    # One of two mentioned fields is wrong.
    assert "| 50.0 % | 50.0 [50.0, 50.0] |" in next(x for x in text.splitlines() if x.startswith("| euler 25 | 26"))
    assert "prompt accuracy (classifier: 90.0 %)" in text
    assert "12 of the 50 prompts" in text and "Other work took 0.10 of 2 cores" in text
    # unipc is at 30 dB at the time of this cache, which is at 33; with 0.5 seconds no solver can be compared.
    assert "| unipc 25 + bwcache 0.1 R=1 | 2.83× | unipc | 3.00 [3.00, 3.00] | +3.00 |" in text
    assert "| bwcache 0.2 R=1 | 8.00× | none as cheap | – | – | – | open |" in text
    assert "at equal time 1 ahead, 2 behind, 1 open" in text
    assert made_up.file.with_name("a.svg").read_bytes() == made_up.file.with_name("b.svg").read_bytes()


@pytest.mark.parametrize(("others", "told"), [(1.0, "Other work took 1.0 of 2 cores"), (None, "is not known")])
def test_times_of_a_busy_machine_are_left_out(made_up: MadeUp, others: float | None, told: str) -> None:
    text = reported(made_up, False, others)
    assert "Prompt accuracy was not measured: no classifier; train one." in text
    assert told in text and "times are left out" in text
    assert "speed-up" not in text and "equal time" not in text and "| at equal blocks |" in text


def test_company_is_the_time_of_others() -> None:
    # user, nice, system, idle, waiting, interrupts, soft ones, stolen; guests are counted in user already.
    stat = "cpu  100 20 30 1000 500 1 2 7 40 40\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    assert busy_seconds(stat) == pytest.approx(160 / os.sysconf("SC_CLK_TCK"))
    assert mean_company([{"seconds": 10, "others": 1.0}, {"seconds": 30, "others": 0.2}]) == pytest.approx(0.4)
    assert mean_company([]) is None


def test_a_missing_classifier_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"python -m models\.default\.train .*--stage classifier"):
        reader(tmp_path, "bfloat16", tmp_path, tmp_path / "readings.jsonl")


def test_why_there_is_no_accuracy_names_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmark import __main__ as command

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["benchmark", "program", "--quick", "--classifier", str(tmp_path / "none")])
    s, summary = command.setup(command.parse()), {"arms": [{"plan": {"dtype": "bfloat16"}}]}
    told = command.accuracy(s, summary, None, [])  # type: ignore[arg-type]
    assert str(told).startswith("~/none holds no classifier")


def test_latents_are_named_after_identity_and_clip() -> None:
    # The digits are the beginning of `printf 'a fox\n7' | sha256sum`.
    assert latents_name({"identity": "abc", "prompt": "a fox", "seed": 7}) == "abc-0ee1941d455f.safetensors"


def test_scores_are_of_the_mentioned_fields_alone(made_up: MadeUp) -> None:
    rows = read(made_up.summary, made_up.file)
    table = tabulate(made_up.summary, rows)
    scene = committed()[0]["scene"]
    prompts = [{"prompt": p, "scene": scene, "mentioned": ["subject"]} for p in made_up.summary["prompts"]]
    found = score(Look(scene, "euler 25"), table, rows, prompts, Path())  # type: ignore[arg-type]
    assert np.all(found.right == 1)
    assert found.fields["subject"]["base"] == [12, 12] and set(found.fields) == {"subject"}
