"""Adds configs that `bwcache-gen calibrate` or `tune` wrote to a bundle, as cache presets of its own.

    python -m models.export.presets BUNDLE NAME=config.json …      then: bwcache-gen -M BUNDLE --cache NAME
    python -m models.export.presets BUNDLE --remove NAME …

A preset holds the config's `cache`; `measured` says with which weights and from how many clips it was made. A table is
of the run that it was measured with, so with another sampler, size or number of steps such a preset is refused.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from models.export.bundle import weights_hash, write_manifest

DIGITS = 12


def preset(config: dict[str, Any], weights: str) -> dict[str, Any]:
    """config: what `--save` wrote."""
    if not isinstance(config.get("cache"), dict) or "policy" not in config["cache"]:
        raise ValueError("holds no `cache` with a policy; it must be a config of calibrate or tune")
    measured: dict[str, Any] = {"weights": weights[:DIGITS]}
    provenance = config.get("provenance", {})
    if "made_by" in provenance:
        measured["made_by"] = provenance["made_by"]
    if "clips" in provenance:
        measured["clips"] = len(provenance["clips"])
    return {"cache": config["cache"], "measured": measured}


def main() -> int:
    """Rewrite BUNDLE/model.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("presets", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--remove", action="append", default=[], metavar="NAME")
    arguments = parser.parse_args()
    try:
        manifest = json.loads((arguments.bundle / "model.json").read_text())
        presets = dict(manifest.get("cache_presets", {}))
        for name in arguments.remove:
            if name not in presets:
                raise ValueError(f"--remove {name}: the bundle has {', '.join(presets) or 'no presets'}")
            del presets[name]
        for entry in arguments.presets:
            name, separator, file = entry.partition("=")
            if not separator:
                raise ValueError(f"{entry}: must be NAME=FILE")
            try:
                presets[name] = preset(json.loads(Path(file).read_text()), weights_hash(manifest["weights"]))
            except ValueError as e:
                raise ValueError(f"{file}: {e}") from None
        manifest["cache_presets"] = presets
        if not presets:
            del manifest["cache_presets"]
        write_manifest(manifest, arguments.bundle)
    except (ValueError, OSError) as e:
        raise SystemExit(f"error: {e}") from None
    print(f"{arguments.bundle}: presets {', '.join(presets) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
