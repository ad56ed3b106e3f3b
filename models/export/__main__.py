"""Command line: python -m models.export ADAPTER --out DIR [--checkpoint DIR]."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

import torch

from models.export.bundle import write
from models.export.parts import Family, seeded
from models.export.verify import verify_decoder, verify_denoiser, verify_goldens

ADAPTERS = {
    "wan": "WanTransformer3DModel of diffusers; without --checkpoint the tiny random model of the tests",
    "wan-block": "one random block of Wan2.1-1.3B's size, 2000 tokens: for timing",
    "default": "the default model of this repository",
    "synthetic": "two hidden tensors, two kinds of block, two experts; random, for the tests",
}


def load(adapter: str, checkpoint: Path | None) -> Family:
    """The family that an adapter makes of a checkpoint."""
    if adapter == "wan" and checkpoint is None:
        family: Family = import_module("models.export.tiny_wan").family()
    elif adapter == "wan-block":
        tiny_wan = import_module("models.export.tiny_wan")
        family = tiny_wan.family(tiny_wan.BLOCK)
    elif adapter == "wan":
        family = import_module("models.export.wan_checkpoint").family(checkpoint)
    elif adapter == "default":
        if checkpoint is None:
            raise SystemExit("default: --checkpoint is needed")
        family = import_module("models.export.default_family").family(checkpoint)
    else:
        family = import_module("models.export.synthetic").family()
    return family


def main() -> int:
    """Export, verify what was written, and report sizes and errors."""
    parser = argparse.ArgumentParser(
        prog="python -m models.export",
        description="Writes a model bundle and verifies it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="adapters:\n" + "\n".join(f"  {name:10} {text}" for name, text in ADAPTERS.items()),
    )
    parser.add_argument("adapter", choices=sorted(ADAPTERS))
    parser.add_argument("--checkpoint", type=Path, help="directory of the original weights")
    parser.add_argument("--out", type=Path, required=True, help="directory of the bundle")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # sums depend on the number of threads, goldens should not
    family = load(arguments.adapter, arguments.checkpoint)
    write(family, arguments.out)
    report = verify_denoiser(family, arguments.out)
    latent = seeded(1, family.manifest["latent"]["channels"], 4, 4, 6, seed=31)
    report |= verify_decoder(arguments.out, latent)
    report |= verify_goldens(arguments.out)
    for name, error in report.items():
        print(f"{name}: relative error {error:.2e}")
    files = [f for f in arguments.out.rglob("*") if f.is_file()]
    print(f"{arguments.out}: {len(files)} files, {sum(f.stat().st_size for f in files) / 1024:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
