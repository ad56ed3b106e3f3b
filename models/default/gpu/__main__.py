"""The GPU tier of the default model: training in slices on a machine with torch and numpy alone.

    python -m models.default.gpu prepare                  here: the kit (sprites, vocabulary), a few megabytes
    python -m models.default.gpu run --slice 540          there, again and again until it says that it is done
    python -m models.default.gpu collect DIR DIR ...      here: what came back -> a packed checkpoint

BWCACHE_SUBJECTS=large takes the long list of subjects; it must be set in all three. The same chain in small:
run --rehearse --device cpu.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bwcache-gen" / "gpu"
FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"  # Debian: fonts-noto-color-emoji


def parse() -> argparse.Namespace:
    p = argparse.ArgumentParser(
        prog="python -m models.default.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = p.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="make the kit")
    prepare.add_argument("--font", default=FONT, help="NotoColorEmoji.ttf")
    prepare.add_argument("--lines", type=int, default=60000, help="captions that the vocabulary is learned from")
    run = commands.add_parser("run", help="train for one slice and leave the results in OUT")
    run.add_argument("--slice", type=float, default=540.0, help="seconds of this call")
    run.add_argument("--minutes", type=float, default=25.0, help="of all slices together")
    run.add_argument("--reserve", type=float, default=40.0, help="seconds at the end of a slice to save and export")
    run.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="rendering processes")
    run.add_argument("--earlier", type=Path, action="append", default=[],
                     help="what a lost machine left, oldest first (repeatable); own states come before it")  # fmt: skip
    export = commands.add_parser("export", help="leave other parts in OUT than `run` chose")
    export.add_argument("--part", action="append", required=True, choices=("encoder", "decoder", "dit", "text"))
    for c in (run, export):
        c.add_argument("--work", type=Path, default=CACHE, help="states; keep it between the slices")
        c.add_argument("--out", type=Path, default=os.environ.get("OUT"), help="results (default: $OUT)")
        c.add_argument("--device", default="cuda")
        c.add_argument("--rehearse", action="store_true", help="tiny sizes")
    collect = commands.add_parser("collect", help="pack what came back")
    collect.add_argument("folders", type=Path, nargs="+", help="of all slices, oldest first")
    collect.add_argument("--out", type=Path, required=True, help="the packed checkpoint")
    for c in (prepare, run, collect):
        c.add_argument("--kit", type=Path, default=Path("out/gpu-kit"), help="default: out/gpu-kit, which git ignores")
    return p.parse_args()


def run(a: argparse.Namespace) -> None:
    import torch

    from .chain import Request, Slice
    from .export import collect_weights, export
    from .kit import check
    from .settings import FULL, REHEARSAL

    if a.device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("--device cuda: there is no such device; --device cpu --rehearse runs the chain in small")
    if a.out is None:
        raise ValueError("--out is needed where $OUT is not set")
    settings = REHEARSAL if a.rehearse else FULL
    if a.command == "export":
        print(f"exported {', '.join(export(a.work, a.out, settings, a.device, tuple(a.part)))}")
        return
    if a.slice <= 2 * a.reserve:
        raise ValueError(f"--slice must be more than twice --reserve (got {a.slice}, {a.reserve})")
    check(a.kit)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    request = Request(a.kit, a.work, a.device, settings, a.minutes, a.slice, a.reserve, a.workers, tuple(a.earlier))
    part = Slice(request)
    try:
        done = part.run()
    finally:
        part.note()
        sent = export(a.work, a.out, settings, a.device)
        more = [k for k in collect_weights(a.work) if k not in sent]
        rest = f"; not in it: {', '.join(more)} (`export --part NAME` brings them)" if more else ""
        part.say(f"exported {', '.join(sent) or 'no weights yet'}{rest}")
    part.say("done" if done else "not done: run the same command again")


def main() -> None:
    a = parse()
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    if a.command == "run":
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(a.work / "compiled"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the workers end too
    try:
        if a.command == "prepare":
            from .kit import prepare

            prepare(a.kit, a.font, a.lines)
            print(f"{a.kit}: {sum(f.stat().st_size for f in a.kit.iterdir()) / 2**20:.1f} MiB")
        elif a.command == "collect":
            from .collect import collect
            from .kit import check

            check(a.kit)
            print(collect(a.folders, a.kit, a.out))
        else:
            run(a)
    except (ValueError, OSError) as e:
        sys.exit(f"error: {e}")


if __name__ == "__main__":
    main()
