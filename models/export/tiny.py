"""Random weights and a random language for test bundles: everything follows from names and seeds."""

import io
import random
import zlib
from collections.abc import Callable

import sentencepiece
import torch
from torch import Tensor, nn

from models.export.parts import seeded

_SUBJECTS = "fox cat dog rabbit horse elephant penguin whale duck owl frog car bus train rocket balloon"
WORDS = {
    "subject": _SUBJECTS.split(" "),
    "colour": "red green blue yellow white black golden small big happy".split(" "),
    "motion": "runs jumps flies spins rises falls sleeps grows moves waits".split(" "),
    "place": "snow forest desert city meadow sea hills mountains space river".split(" "),
    "light": "noon sunset night dawn".split(" "),
}


def name_seed(name: str) -> int:
    """A seed that depends on a name only."""
    return zlib.crc32(name.encode())


def randomise(module: nn.Module, scale: Callable[[str, Tensor], float | None], prefix: str = "") -> None:
    """Normal numbers in every parameter; `scale` may name a deviation, else it follows from the shape.

    Matrices and kernels keep the variance of their input; biases are small; vectors called weight (norms) scatter
    around one.
    """
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            deviation = scale(name, parameter)
            noise = seeded(*parameter.shape, seed=name_seed(prefix + name))
            if parameter.ndim == 1 and name.endswith("weight"):
                parameter.copy_(1 + (deviation or 0.2) * noise)
            elif parameter.ndim == 1:
                parameter.copy_((deviation or 0.1) * noise)
            else:
                fan_in = parameter[0].numel()
                parameter.copy_((deviation or fan_in**-0.5) * noise)


def sentences(count: int, seed: int = 0) -> list[str]:
    """Generated sentences of the test language."""
    r = random.Random(seed)
    pick = {k: (lambda v=v: r.choice(v)) for k, v in WORDS.items()}
    return [
        f"{r.choice(('a', 'the'))} {pick['colour']()} {pick['subject']()} {pick['motion']()} "
        f"{r.choice(('in', 'over', 'through'))} the {pick['place']()} at {pick['light']()}"
        for _ in range(count)
    ]


def tokenizer(vocabulary: int) -> bytes:
    """A sentencepiece model with T5's special ids: pad 0, </s> 1, unknown 2."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(600)),
        model_writer=model,
        model_type="unigram",
        vocab_size=vocabulary,
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def encode(model: bytes, prompt: str, length: int) -> tuple[Tensor, Tensor]:
    """ids, mask int64 [1,length]: whitespace collapsed, cut, </s>, padding."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = [*processor.encode(" ".join(prompt.split()))[: length - 1], processor.eos_id()]
    ids = torch.zeros(1, length, dtype=torch.int64)
    ids[0, : len(pieces)] = torch.tensor(pieces)
    mask = (torch.arange(length) < len(pieces)).long()[None]
    return ids, mask
