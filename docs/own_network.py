"""The README's ten lines, with something to run them on: a small transformer learns a text.

It is given letters and says which comes next; the text is the README itself. `python
docs/own_network.py` writes own.h5 in a minute or two on one core, and `lands preview own.h5`
shows it.
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from movinglands import Recorder, Surface, compute_sequence

CONTEXT, WIDTH, BATCH, STEPS = 16, 32, 16, 301


class Transformer(nn.Module):
    """Two layers of four heads, which see the letters before, not those to come."""

    def __init__(self, letters: int) -> None:
        super().__init__()
        self.letter, self.place = nn.Embedding(letters, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.next = nn.Linear(WIDTH, letters)
        self.register_buffer("to_come", torch.ones(CONTEXT, CONTEXT, dtype=torch.bool).triu(1))

    def forward(self, letters: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, letters, places) of the letters after each place."""
        x = self.letter(letters) + self.place.weight
        return self.next(self.layers(x, self.to_come, is_causal=True)).transpose(1, 2)


text = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
alphabet = sorted(set(text))
numbers = torch.tensor([alphabet.index(letter) for letter in text])
generator = torch.Generator().manual_seed(0)
starts = torch.randint(len(text) - CONTEXT, (STEPS, BATCH, 1), generator=generator)
places = starts + torch.arange(CONTEXT)

torch.manual_seed(0)
loader = list(zip(numbers[places], numbers[places + 1], strict=True))
model = Transformer(len(alphabet))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)


def loss(model, batch):
    return cross_entropy(model(batch[0]), batch[1])


recorder = Recorder(every=30)
for step, batch in enumerate(loader):
    recorder.record(model, step)
    optimizer.zero_grad()
    loss(model, batch).backward()
    optimizer.step()
compute_sequence("own.h5", Surface(model, recorder.snapshots, loss, [batch], resolution=41))
