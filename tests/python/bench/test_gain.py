"""The gain of a cache where the answer is known."""

import numpy as np
import pytest
from benchmark.gain import at_cost, at_factor, dominated, gain, gains, members
from benchmark.resampling import resamples
from benchmark.rows import Arm, Table

SOLVERS = [Arm("base", "euler", ("euler", 50), False), Arm("u 25", "unipc", ("unipc", 25), False),
           Arm("u 12", "unipc", ("unipc", 12), False)]  # fmt: skip
CACHE = Arm("cache", "bwcache R=1", ("euler", 50), True)


def table(arms: list[Arm], seconds: list[float], psnr: list[list[float]]) -> Table:
    prompts = len(psnr[0])
    times = np.repeat(np.array(seconds)[:, None], prompts, axis=1)
    return Table(
        arms, [str(i) for i in range(prompts)], {"denoise": times, "psnr_reference": np.array(psnr)}, [0] * len(arms)
    )


def test_at_cost_is_linear_in_the_logarithm_and_never_falls() -> None:
    costs, qualities = np.array([4.0, 1.0, 2.0]), np.array([15.0, 10.0, 20.0])
    assert at_cost(costs, qualities, 2**0.5) == pytest.approx(15.0)
    assert at_cost(costs, qualities, 4.0) == 20.0  # the run of cost 2 is better than the one of cost 4
    assert at_cost(costs, qualities, 100.0) == 20.0
    assert np.isnan(at_cost(costs, qualities, 0.99))


def test_gain_is_the_lead_over_the_best_solver_at_the_same_time() -> None:
    rng = np.random.default_rng(0)
    clip = rng.normal(0, 3, 30)  # some clips are harder for every arm
    lead = 1.5 + rng.normal(0, 0.2, 30)
    # At the time 2**0.5 unipc stands between 28 and 32, at 30; Euler has no run as cheap.
    made = table([*SOLVERS, CACHE], [4, 2, 1, 2**0.5], [clip + 30, clip + 32, clip + 28, clip + 30 + lead])
    found = gain(made, "denoise", "psnr_reference", 3, resamples(30))
    assert found.solver == "unipc"
    assert found.lead.value == pytest.approx(lead.mean())
    half = 1.96 * lead.std() / 30**0.5
    assert found.lead.low == pytest.approx(lead.mean() - half, abs=0.2 * half)
    assert found.each == pytest.approx(lead.mean())
    assert found.verdict() == "ahead"
    behind = table([*SOLVERS, CACHE], [4, 2, 1, 2**0.5], [clip + 30, clip + 32, clip + 28, clip + 30 - lead])
    assert gain(behind, "denoise", "psnr_reference", 3, resamples(30)).verdict() == "behind"


def test_the_solver_is_chosen_for_all_prompts() -> None:
    # Euler is best on the first prompt, unipc on the other two: unipc on the mean.
    made = table([*SOLVERS, CACHE], [2, 2, 1, 2], [[40, 30, 30], [30, 36, 36], [20, 20, 20], [35, 35, 35]])
    found = gain(made, "denoise", "psnr_reference", 3, resamples(3))
    assert found.solver == "unipc"
    assert found.lead.value == pytest.approx(35 - 34)
    assert found.each == pytest.approx((35 - 40 + 35 - 36 + 35 - 36) / 3)
    assert found.verdict() == "open"  # three prompts show nothing, whatever the interval says


def test_nothing_is_compared_below_the_cheapest_run() -> None:
    made = table([*SOLVERS, CACHE], [4, 2, 1, 0.5], [[30.0] * 4] * 4)
    found = gains(made, "denoise", "psnr_reference", resamples(4))["cache"]
    assert found.solver is None
    assert found.verdict() == "open"


def test_p_values_are_corrected_over_the_caches() -> None:
    rng = np.random.default_rng(1)
    rows = [[30.0] * 20, [32.0] * 20, [28.0] * 20, list(30 + rng.normal(0.1, 0.2, 20)), list(29 + rng.normal(0, 9, 20))]
    made = table([*SOLVERS, CACHE, Arm("other", "static", ("euler", 50), True)], [4, 2, 1, 2**0.5, 2**0.5], rows)
    draws = resamples(20)
    alone, corrected = (
        gain(made, "denoise", "psnr_reference", 3, draws),
        gains(made, "denoise", "psnr_reference", draws)["cache"],
    )
    assert corrected.p == pytest.approx(2 * alone.p)
    assert corrected.wilcoxon == pytest.approx(2 * alone.wilcoxon)


def test_a_cache_begins_at_the_run_it_is_built_on() -> None:
    made = table([*SOLVERS, CACHE], [4, 2, 1, 2], [[30.0] * 5, [32.0] * 5, [28.0] * 5, [26.0] * 5])
    assert members(made, "bwcache R=1") == [0, 3]
    assert members(made, "unipc") == [1, 2]


def test_quality_at_a_speedup() -> None:
    made = table([*SOLVERS, CACHE], [4, 2, 1, 2], [[30.0] * 5, [32.0] * 5, [28.0] * 5, [26.0] * 5])
    found = at_factor(made, "bwcache R=1", "denoise", 2**0.5, resamples(5, 50))
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((28.0, 28.0, 28.0))
    assert at_factor(made, "bwcache R=1", "denoise", 2.1, resamples(5, 50)) is None
    assert at_factor(made, "unipc", "denoise", 1.5, resamples(5, 50)) is None


def test_an_arm_is_dominated_by_the_best_that_is_no_slower() -> None:
    assert dominated([1.0, 2.0, 2.0, 3.0], [30.0, 31.0, 31.0, 20.0]) == [1, None, None, None]
    assert dominated([1.0, 1.5, 2.0], [10.0, 30.0, 20.0]) == [1, None, None]
