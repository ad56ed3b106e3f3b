"""What an adapter hands to the exporter: the pieces of a model and what proves them right.

Read trace.py for what becomes of a Part, wan.py for a complete adapter.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Part:
    """One code archive: a module whose attribute paths are weight names, and example arguments per method."""

    module: nn.Module
    methods: dict[str, tuple[Any, ...]]
    forbidden: frozenset[int] = frozenset()  # sizes of the examples that must not appear in the code as numbers


@dataclass(frozen=True)
class Example:
    """One denoiser input."""

    latent: Tensor  # [B,C,F,H,W]
    t: Tensor  # [B] f32
    text: Tensor  # [B,T,C]

    def to(self, dtype: torch.dtype) -> "Example":
        """The same input for a run in `dtype`; the time step stays f32."""
        return Example(self.latent.to(dtype), self.t, self.text.to(dtype))


@dataclass
class Record:
    """What one evaluation of the denoiser produced."""

    prediction: Tensor
    blocks: list[tuple[Tensor, ...]] = field(default_factory=list)  # hidden state after every block
    probes: list[Tensor] = field(default_factory=list)  # modulated attention input of every block


@dataclass
class Golden:
    """Tensors of one golden file, and strings that say how they were made."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass
class Family:
    """A whole model, ready to be exported."""

    manifest: dict[str, Any]  # without `code`, `weights` and `golden`
    parts: Callable[[torch.dtype], dict[str, Part]]
    weights: dict[str, dict[str, Tensor]]  # file name -> tensors
    original: Callable[[Example], Record]  # the original model, in the dtype of the latent
    examples: list[Example]  # two or more, of different batch, grid and, if the family allows, text length
    files: dict[str, bytes] = field(default_factory=dict)
    goldens: Callable[[], dict[str, Golden]] = dict
    shards: dict[str, str] = field(default_factory=dict)  # weight file -> existing safetensors to copy


class Tree(nn.Module):
    """A place that keeps the path of the submodules below it."""

    if TYPE_CHECKING:  # what is grafted is known at run time only

        def __getattr__(self, name: str) -> Any:
            ...


def graft(target: nn.Module, source: nn.Module, paths: Iterable[str]) -> None:
    """Put submodules or parameters of `source` under `target`, at the same paths.

    A wrapper built this way has exactly the parameters it needs, under the names they have in the weight files.
    """
    for path in paths:
        place, origin = target, source
        *parents, leaf = path.split(".")
        for name in parents:
            origin = getattr(origin, name)
            if not hasattr(place, name):
                place.add_module(name, Tree())
            place = getattr(place, name)
        value = getattr(origin, leaf)
        if isinstance(value, nn.Parameter):
            place.register_parameter(leaf, value)
        else:
            place.add_module(leaf, value)


def grid_of(frames: int, rows: int, columns: int) -> Tensor:
    """`grid` of the contract: int64 [N,3], (frame, row, column), row-major."""
    axes = [torch.arange(n) for n in (frames, rows, columns)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def latent_grid(latent: Tensor) -> Tensor:
    """The grid of a latent [B,C,F,H,W]."""
    return grid_of(*latent.shape[2:])


def seeded(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    """Normal numbers that depend on nothing but the arguments."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def convert(module: M, dtype: torch.dtype, keep_fp32: Iterable[str] = ()) -> M:
    """Parameters and buffers in `dtype`, save those with one of `keep_fp32` in their path (diffusers' rule)."""
    islands = set(keep_fp32)
    tensors = [*module.named_parameters(), *module.named_buffers()]
    for name, tensor in tensors:
        if tensor.is_floating_point() and not islands & set(name.split(".")):
            tensor.data = tensor.data.to(dtype)
    return module
