"""Intervals and tests against closed forms and hand-worked examples."""

import numpy as np
import pytest
from benchmark.resampling import bootstrap, holm, pooled_psnr, resamples, signed_rank, two_sided


def test_bootstrap_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(7).normal(3.0, 2.0, 400)
    half = 1.96 * values.std() / len(values) ** 0.5
    found = bootstrap(values, resamples(len(values)))
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_bootstrap_covers_the_truth_as_often_as_it_says() -> None:
    rng, hits = np.random.default_rng(3), 0
    for _ in range(300):
        found = bootstrap(rng.normal(0.0, 1.0, 50), resamples(50, 1000))
        hits += found.low <= 0 <= found.high
    assert 0.90 <= hits / 300 <= 0.98  # 0.94 expected of 50 values; the standard error is 0.014


def test_resamples_are_the_same_every_time() -> None:
    assert np.array_equal(resamples(5, 100), resamples(5, 100))
    assert not np.array_equal(resamples(5, 100), resamples(5, 100, seed=1))


def test_two_sided_p_is_the_smaller_tail_twice() -> None:
    assert two_sided(np.array([-1.0] * 4 + [1.0] * 95)) == pytest.approx(2 * 5 / 100)
    assert two_sided(np.ones(99)) == pytest.approx(2 / 100)  # never 0
    assert two_sided(np.zeros(99)) == 1.0


def test_holm_hand_worked() -> None:
    # 0.005·4 = 0.02, 0.01·3 = 0.03, 0.03·2 = 0.06, 0.04·1 = 0.04, which may not be below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_signed_rank_of_five_gains_is_two_in_thirty_two() -> None:
    assert signed_rank(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == pytest.approx(2 / 32)
    assert signed_rank(np.zeros(5)) == 1.0


def test_pooled_psnr_is_that_of_the_mean_error() -> None:
    assert pooled_psnr(np.array([30.0, 30.0])) == pytest.approx(30.0)
    # One equal clip of two halves the error: 3 dB, where the mean would give 65.
    assert pooled_psnr(np.array([30.0, 100.0])) == pytest.approx(30 + 10 * np.log10(2), abs=1e-4)
