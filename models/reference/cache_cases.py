"""The caches of diffusers and cache-dit that the goldens of caches.py run, each with what it is called here.

The caches of diffusers that keep a state per branch get one call per branch, inside its cache_context; those that keep
one state for the model (PAB, FasterCache) get both branches in one call, which is how they mean it. cache-dit tells the
branches by counting calls.

Where an implementation differs from bwcache-gen (docs/methods.md), the configuration keeps to what both do:

    FasterCache   diffusers extrapolates from the last two outputs, though they were extrapolated themselves; here every
                  reuse follows two computed steps. It reuses attention only where the unconditional branch is left
                  out, so attention_start is not before cfg_start. It counts calls from 0, the authors' scripts from 1.
    SeaCache      diffusers filters and compares the latents unless it is shown something else.
    TaylorSeer    diffusers computes at disable_cache_before_step + 1 + n · cache_interval: with 2 and 3 every third
                  step; its factors are bfloat16 unless told otherwise. cache-dit extrapolates from the fourth step on:
                  hence four steps of warm-up.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from diffusers.hooks.faster_cache import _FASTER_CACHE_DENOISER_HOOK
from torch import Tensor

os.environ.setdefault("CACHE_DIT_LOG_LEVEL", "warning")  # read when it is imported
import cache_dit

logging.getLogger("diffusers.hooks.faster_cache").setLevel(logging.ERROR)  # it warns that it is experimental

DIFFUSERS: Any = diffusers  # its configurations have no types
STEPS = 12
# What MagCache's own calibration measures on the conditional branch (caches.calibrated_ratios), rounded.
RATIOS = (1.0, 1.028, 1.0025, 1.0268, 0.9801, 1.0225, 1.0286, 0.9904, 1.0653, 0.9978, 1.0538, 1.0031)


@dataclass
class Clock:
    """Where the loop is; hooks ask for it."""

    step: int = 0
    timestep: float = 1000.0
    sigma: float = 1.0


@dataclass(frozen=True)
class Case:
    """A cache as its library knows it and as bwcache-gen does."""

    library: str  # distribution on PyPI
    enable: Callable[[Any, dict[str, Any], Clock], None]
    theirs: dict[str, Any]
    cache: dict[str, Any]
    batched: bool = False
    threshold: str = ""  # the key of `theirs` that decides by a measured number


def first_block(model: Any, theirs: dict[str, Any], clock: Clock) -> None:
    """FirstBlockCache of diffusers."""
    model.enable_cache(DIFFUSERS.FirstBlockCacheConfig(**theirs))


def mag(model: Any, theirs: dict[str, Any], clock: Clock) -> None:
    """MagCache of diffusers."""
    model.enable_cache(DIFFUSERS.MagCacheConfig(**theirs))


def taylorseer(model: Any, theirs: dict[str, Any], clock: Clock) -> None:
    """TaylorSeer of diffusers, its factors in float32."""
    model.enable_cache(DIFFUSERS.TaylorSeerCacheConfig(taylor_factors_dtype=torch.float32, **theirs))


def first_input(model: Any, args: tuple[Tensor, Tensor, Tensor], kwargs: dict[str, Any]) -> list[Tensor]:
    """What SeaCache's authors filter and compare: the first block's modulated input, [D,F,H,W] per row."""
    latents, t, text = args
    places, block = model.patch_embedding(latents), model.blocks[0]
    projection = model.condition_embedder(t, text, None)[1].unflatten(1, (6, -1))
    shift, scale = (block.scale_shift_table + projection.float()).chunk(6, dim=1)[:2]
    modulated = block.norm1(places.flatten(2).transpose(1, 2).float()) * (1 + scale) + shift
    return list(modulated.transpose(1, 2).unflatten(2, places.shape[2:]))


def sea(model: Any, theirs: dict[str, Any], clock: Clock) -> None:
    """SeaCache of diffusers, which by itself compares the latents."""
    model.enable_cache(DIFFUSERS.SeaCacheConfig(raw_vision_callback=first_input, **theirs))


def pyramid(model: Any, theirs: dict[str, Any], clock: Clock) -> None:
    """Pyramid attention broadcast of diffusers."""
    options = {**theirs, "current_timestep_callback": lambda: clock.timestep}
    model.enable_cache(DIFFUSERS.PyramidAttentionBroadcastConfig(**options))


def faster(model: Any, theirs: dict[str, Any], clock: Clock) -> None:
    """FasterCache of diffusers, its count of calls begun at 1 as the authors' scripts begin it."""
    options = {**theirs, "current_timestep_callback": lambda: clock.timestep}
    weight = options.pop("attention_weight")
    model.enable_cache(DIFFUSERS.FasterCacheConfig(attention_weight_callback=lambda module: weight, **options))
    model._diffusers_hook.get_hook(_FASTER_CACHE_DENOISER_HOOK).state.iteration = 1


def dual_block(model: Any, theirs: dict[str, Any], clock: Clock) -> None:
    """DBCache of cache-dit; `taylorseer_order` adds its TaylorSeer."""
    options = dict(theirs)
    order = options.pop("taylorseer_order", 0)
    calibrator = cache_dit.TaylorSeerCalibratorConfig(taylorseer_order=order) if order else None
    config = cache_dit.DBCacheConfig(num_inference_steps=STEPS, enable_separate_cfg=True, **options)
    cache_dit.enable_cache(model, cache_config=config, calibrator_config=calibrator)


def cases() -> dict[str, Case]:
    """Every method with an implementation of its own on PyPI."""
    window = {"spatial_attention_timestep_skip_range": (300, 950), "cross_attention_timestep_skip_range": (300, 950)}
    stages = [r"blocks\.\d+\.(attn1|attn2|ffn)"]
    return {
        "fbcache": Case(
            "diffusers",
            first_block,
            {"threshold": 0.225},
            {"policy": "dbcache", "preset": "fbcache-diffusers", "threshold": 0.225},
            threshold="threshold",
        ),
        "pab": Case(
            "diffusers",
            pyramid,
            {"spatial_attention_block_skip_range": 2, "cross_attention_block_skip_range": 3, **window},
            {"policy": "pab", "spatial": 2, "cross": 3, "window_low": 300, "window_high": 950},
            batched=True,
        ),
        "fastercache": Case(
            "diffusers",
            faster,
            {
                "spatial_attention_block_skip_range": 3,
                "spatial_attention_timestep_skip_range": (-1, 850),
                "attention_weight": 0.3,
                "unconditional_batch_skip_range": 3,
                "unconditional_batch_timestep_skip_range": (-1, 900),
                "alpha_low_frequency": 1.2,
                "low_frequency_weight_update_timestep_range": (650, 1001),
                "alpha_high_frequency": 1.1,
                "high_frequency_weight_update_timestep_range": (-1, 750),
            },
            {
                "policy": "fastercache",
                "attention_start": "4",
                "attention_interval": 3,
                "attention_weight": 0.3,
                "attention_rise": "constant",
                "cfg_start": "3",
                "cfg_interval": 3,
                "low": 1.2,
                "low_until": "7",
                "high": 1.1,
                "high_from": "6",
                "growth": "compound",
            },
            batched=True,
        ),
        "magcache": Case(
            "diffusers",
            mag,
            {
                "threshold": 0.06,
                "max_skip_steps": 2,
                "retention_ratio": 0.3,
                "num_inference_steps": STEPS,
                "mag_ratios": list(RATIOS),
            },
            {
                "policy": "magcache",
                "threshold": 0.06,
                "max_skipped": 2,
                "retain_first": "30%",
                "ratios": "cond:" + ";".join(map(str, RATIOS)),
            },
            threshold="threshold",
        ),
        "taylorseer": Case(
            "diffusers",
            taylorseer,
            {
                "cache_interval": 3,
                "disable_cache_before_step": 2,
                "disable_cache_after_step": 11,
                "cache_identifiers": stages,
            },
            {"policy": "static", "preset": "taylorseer", "every": 3, "warmup": 2, "cooldown": 1},
        ),
        "fora": Case(
            "diffusers",
            taylorseer,
            {"cache_interval": 2, "disable_cache_before_step": 1, "max_order": 0, "cache_identifiers": stages},
            {"policy": "static", "preset": "fora"},
        ),
        "seacache": Case(
            "diffusers",
            sea,
            {
                "threshold": 0.5,
                "power_exp": 3.0,
                "residual_order": 0,
                "retention_steps": 2,
                "max_consecutive_cached": 0,
            },
            {"policy": "seacache", "threshold": 0.5, "retain_first": 2},
            threshold="threshold",
        ),
        "dbcache_each": Case(
            "cache-dit",
            dual_block,
            {
                "Fn_compute_blocks": 1,
                "Bn_compute_blocks": 1,
                "residual_diff_threshold": 0.2,
                "max_warmup_steps": 2,
                "max_cached_steps": 4,
                "max_continuous_cached_steps": 2,
            },
            {
                "policy": "dbcache",
                "front_blocks": 1,
                "back_blocks": 1,
                "threshold": 0.2,
                "warmup": 2,
                "max_reused": 4,
                "max_consecutive": 2,
                "verdict": "each",
            },
            threshold="residual_diff_threshold",
        ),
        "dbcache_cond": Case(
            "cache-dit",
            dual_block,
            {
                "Fn_compute_blocks": 2,
                "Bn_compute_blocks": 0,
                "residual_diff_threshold": 0.23,
                "max_warmup_steps": 2,
                "cfg_diff_compute_separate": False,
            },
            {"policy": "dbcache", "front_blocks": 2, "threshold": 0.23, "warmup": 2, "verdict": "cond"},
            threshold="residual_diff_threshold",
        ),
        "dbcache_taylor": Case(
            "cache-dit",
            dual_block,
            {
                "Fn_compute_blocks": 1,
                "Bn_compute_blocks": 0,
                "residual_diff_threshold": 0.3,
                "max_warmup_steps": 4,
                "max_continuous_cached_steps": 2,
                "taylorseer_order": 1,
            },
            {
                "policy": "dbcache",
                "preset": "fbcache-taylor",
                "threshold": 0.3,
                "warmup": 4,
                "max_consecutive": 2,
                "verdict": "each",
            },
            threshold="residual_diff_threshold",
        ),
    }
