"""The tables of docs/benchmarks.md, from results.py. Every table has the line of its weights under it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from models.default.captions import FIELDS

from .accuracy import Accuracy
from .gain import Gain, dominated
from .plot import Curve, Panel, Point
from .resampling import Interval
from .results import FACTORS, MAIN, Measured, Results
from .rows import BASE

NONE = "–"
BUSY = 0.15  # share of the cores that other work may take; above, seconds say little
MAIN_METRICS = ("psnr", "ssim")


@dataclass(frozen=True)
class Circumstances:
    """What the numbers were measured with."""

    summary: dict[str, Any]  # of bench
    weights: str
    command: str
    all_prompts: int
    others: float | None  # cores that other work took meanwhile, on average; None: not known
    cores: int

    def timed(self) -> bool:
        return self.others is not None and self.others <= BUSY * self.cores

    def company(self) -> str:
        if self.others is None:
            return "What else the machine did meanwhile is not known, so times are left out."
        if not self.timed():
            return f"Other work took {self.others:.1f} of {self.cores} cores meanwhile, so times are left out."
        return f"Other work took {self.others:.2f} of {self.cores} cores meanwhile."


def span(i: Interval | None, digits: int, unit: str = "") -> str:
    if i is None or i.value != i.value:
        return NONE
    return f"{i.value:.{digits}f}{unit} [{i.low:.{digits}f}, {i.high:.{digits}f}]"


def count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def table(header: str, rows: Iterable[list[str]], weights: str) -> str:
    columns = header.count("|") + 1
    lines = [f"| {header} |", "|" + "---|" * columns, *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join([*lines, "", f"weights: {weights}"])


def introduction(results: Results, c: Circumstances) -> str:
    environment, few = c.summary["environment"], len(c.summary["prompts"])
    overhead = max((a.overhead for a in results.arms if of_bwcache(a)), default=0.0)
    own = f" Indicator and controller took at most {100 * overhead:.2f} % of the denoising time of a BWCache run."
    return (
        f"    {c.command}\n\nModel {c.summary['bundle']['name']}, {few} of the {c.all_prompts} prompts, "
        f"seed {', '.join(map(str, c.summary['seeds']))}, "
        f"{count(c.summary['repeat'], 'run')} of each in turn, {count(environment['threads'], 'thread')}, "
        f"{environment['processor']}."
        f" {c.company()}{own if results.timed else ''}"
    )


def reference_table(results: Results, c: Circumstances) -> str:
    def cells(a: Measured) -> list[str]:
        psnr, ssim = a.quality["psnr_reference"], a.quality["ssim_reference"]
        times = [f"{a.speedup.value:.2f}×", span(a.paired, 2, "×"), f"{a.speedup_total:.2f}×"]
        return [a.name, *(times if results.timed else []), f"{a.blocks:.0f}", f"{a.reduction.value:.2f}×",
                span(psnr.mean, 2), f"{psnr.tail:.2f}", f"{psnr.worst:.2f}",
                f"{ssim.mean.value:.4f}", a.dominated_by or ""]  # fmt: skip

    times = "speed-up | per clip | with decoding | " if results.timed else ""
    header = f"arm | {times}blocks | fewer by | PSNR, dB | p10 | worst clip | SSIM | dominated by"
    return table(header, (cells(a) for a in results.arms), c.weights)


def base_table(results: Results, c: Circumstances) -> str:
    scores, clips = results.accuracy, len(c.summary["prompts"])
    own = f" (classifier: {100 * scores.classifier('round_trip', results.prompts):.1f} %)" \
        if isinstance(scores, Accuracy) else ""  # fmt: skip

    def cells(a: Measured) -> list[str]:
        right = NONE if a.right is None else f"{100 * a.right:.1f} %"
        drop = NONE if a.drop is None else \
            span(Interval(*(100 * v for v in (a.drop.value, a.drop.low, a.drop.high))), 1)  # fmt: skip
        fired = f"{a.fired} of {clips}" if a.cached else NONE
        if a.name == BASE:
            return [a.name, *[NONE] * 4, "100 %", fired, NONE, right, drop]
        psnr, ssim = a.quality["psnr"], a.quality["ssim"]
        return [a.name, f"{a.pooled_psnr:.2f}", f"{psnr.tail:.2f}", f"{psnr.worst_frame:.2f}", f"{ssim.mean.value:.4f}",
                f"{100 * a.computed:.0f} %", fired, f"{a.cache_bytes / 2**20:.1f} MiB" if a.cached else NONE,
                right, drop]  # fmt: skip

    header = (f"arm | PSNR, dB | p10 | worst frame | SSIM | blocks of its steps | cache fired on | cache | "
              f"prompt accuracy{own} | drop, points")  # fmt: skip
    return table(header, (cells(a) for a in results.arms), c.weights)


def gain_cells(g: Gain) -> list[str]:
    if g.solver is None:
        return ["none as cheap", *[NONE] * 3, g.verdict()]
    return [g.solver, span(g.lead, 2), f"{g.each:+.2f}", f"{g.p:.4f}, {g.wilcoxon:.4f}", g.verdict()]


def gain_table(results: Results, c: Circumstances, cost: str) -> str:
    """cost: 'denoise' or 'blocks'."""

    def cells(a: Measured) -> list[str]:
        mine = [*gain_cells(results.gains[cost][a.name])]
        if cost == "denoise":
            return [a.name, f"{a.speedup.value:.2f}×", *mine, span(results.ssim_gains[a.name].lead, 4)]
        return [a.name, f"{a.reduction.value:.2f}×", *mine]

    told = "best solver | gain, dB PSNR | over each clip's best | p, Wilcoxon's p | verdict"
    header = f"at equal time | speed-up | {told} | gain, SSIM" if cost == "denoise" else \
        f"at equal blocks | fewer by | {told}"  # fmt: skip
    return table(header, (cells(a) for a in results.arms if a.cached), c.weights)


def factor_table(results: Results, c: Circumstances) -> str:
    rows = ([s, *(span(values[x], 2) for x in FACTORS)] for s, values in results.at_factor.items())
    what = "at speed-up" if results.timed else "with blocks fewer by"
    header = f"PSNR to converged, dB, {what} | " + " | ".join(f"{x:g}×" for x in FACTORS)
    return table(header, (row for row in rows if any(cell != NONE for cell in row[1:])), c.weights)


def more_metrics_table(results: Results, c: Circumstances, lower: frozenset[str]) -> str:
    """Of the metrics beside PSNR and SSIM; empty where the program has none."""
    names = [n for n in results.arms[-1].quality if n.removesuffix("_reference") not in MAIN_METRICS]
    if not names:
        return ""
    words = {n: n.removesuffix("_reference") + (" to converged" if n.endswith("_reference") else "") for n in names}
    better = {n: "lower" if n.removesuffix("_reference") in lower else "higher" for n in names}
    header = "arm | " + " | ".join(f"{words[n]} ({better[n]} is better), worst clip" for n in names)
    rows = (
        [a.name, *(f"{a.quality[n].mean.value:.4g}, {a.quality[n].worst:.4g}" if n in a.quality else NONE
                   for n in names)]
        for a in results.arms
    )  # fmt: skip
    return table(header, rows, c.weights)


def field_table(results: Results, c: Circumstances) -> str:
    """Accuracy per attribute, of the base and of the cache and the solver with the largest drops."""
    scores = results.accuracy
    if isinstance(scores, str):
        return f"Prompt accuracy was not measured: {scores}."
    shown = [BASE]
    for cached in (False, True):
        arms = [a for a in results.arms if a.cached == cached and a.drop is not None]
        if arms:
            shown.append(max(arms, key=lambda a: a.drop.value if a.drop else 0).name)

    def cells(f: str) -> list[str]:
        tallies = [scores.fields[f][name] for name in shown]
        return [f, *(f"{right} of {of}" for right, of in tallies),
                *(f"{100 * scores.own[kind][f]:.1f} %" for kind in ("rendered", "round_trip"))]  # fmt: skip

    header = f"attribute, accuracy | {' | '.join(shown)} | classifier on rendered clips | after the autoencoder"
    return table(header, (cells(f) for f in FIELDS if f in scores.fields), c.weights)


def summary_line(results: Results) -> str:
    def verdicts_at(cost: str) -> str:
        verdicts = [g.verdict() for g in results.gains[cost].values()]
        return f"{verdicts.count('ahead')} ahead, {verdicts.count('behind')} behind, {verdicts.count('open')} open"

    costs = {"denoise": "time", "blocks": "blocks"} if results.timed else {"blocks": "blocks"}
    told = "; ".join(f"at equal {word} {verdicts_at(cost)}" for cost, word in costs.items())
    return f"{len(results.gains['blocks'])} cache settings against the best solver: {told}."


def of_bwcache(a: Measured) -> bool:
    return a.cached and "bwcache" in a.series


def drawn_series(results: Results) -> set[str]:
    """Solvers, BWCache, and the caches with a setting that no setting of any cache is better and quicker than."""
    caches = [a for a in results.arms if a.cached]
    qualities = [a.quality[MAIN].mean.value for a in caches]
    found = {a.series for a in results.arms if not a.cached or of_bwcache(a)}
    costs = [[a.reduction.value for a in caches], *([[a.speedup.value for a in caches]] if results.timed else [])]
    for factors in costs:
        better = dominated(factors, qualities)
        found |= {a.series for a, other in zip(caches, better, strict=True) if other is None}
    return found


def panels(results: Results) -> list[Panel]:
    """For the plot: quality over time saved, and over blocks saved."""
    times, blocks = Panel("speed-up of denoising over base", []), Panel("fewer blocks than base", [])
    series = drawn_series(results)
    shown = [a for a in results.arms if a.series in series]
    for panel in (times, blocks):
        found: dict[str, Curve] = {}
        for a in shown:
            curve = found.setdefault(a.series, Curve(a.series, a.cached, []))
            curve.points.append(Point(a.speedup if panel is times else a.reduction, a.quality[MAIN].mean))
        panel.curves.extend(found.values())
    return [times, blocks] if results.timed else [blocks]


def report(results: Results, c: Circumstances, lower: frozenset[str], image: str) -> str:
    parts = [
        introduction(results, c),
        f"![What solvers and caches save, against PSNR to the converged solution]({image})",
        "### Cost, and distance to the converged solution",
        reference_table(results, c),
        "### The gain of a cache",
        summary_line(results),
        gain_table(results, c, "denoise") if results.timed else "",
        gain_table(results, c, "blocks"),
        "### Quality at equal cost",
        factor_table(results, c),
        "### Distance to the uncached run, and prompt accuracy",
        base_table(results, c),
        field_table(results, c),
        more_metrics_table(results, c, lower),
    ]
    return "\n\n".join(part for part in parts if part)
