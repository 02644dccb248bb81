"""Networks on lines of text, sounds, words and points: recurrent, attention, 1-D Convs."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F  # noqa: N812 - as all of torch's own documentation
from torch import nn

from _zoo.network import Network


class Crnn(nn.Module):
    """Convs over a line of text, a bidirectional LSTM (or GRU) along it, a class a column."""

    def __init__(self, recurrent: type[nn.LSTM] | type[nn.GRU]) -> None:
        super().__init__()
        sizes = (1, 16, 32, 48)
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(),
                nn.MaxPool2d((2, 2) if index < 2 else (2, 1)),
            ]  # fmt: skip
        self.features = nn.Sequential(*layers)
        self.rnn = recurrent(48 * 4, 32, bidirectional=True, batch_first=True)
        self.head = nn.Linear(64, 37)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Lines [N, 1, 32, W] to logits [N, W / 4, 37]."""
        y = self.features(x).permute(0, 3, 1, 2).flatten(2)
        return self.head(self.rnn(y)[0])


class Encoder(nn.Module):
    """torch's TransformerEncoder over float features, with learnt positions."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            32, 4, 64, batch_first=True, activation=activation, norm_first=activation == "gelu"
        )
        self.enter = nn.Linear(12, 32)
        self.positions = nn.Parameter(torch.randn(1, 20, 32) * 0.3)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features [N, 20, 12] to logits [N, 7]."""
        return self.head(self.encoder(self.enter(x) + self.positions).mean(1))


class Language(nn.Module):
    """Words and a mask to an answer: Embedding, masked attention, Where, LayerNorm, tied head."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 32)
        self.query, self.value = nn.Linear(32, 64), nn.Linear(32, 32)
        self.norm, self.dense = nn.LayerNorm(32), nn.Linear(32, 32)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Integers [N, 16] of 0 to 49, 0 for nothing, to logits [N, 16, 50]."""
        x = self.words(tokens)
        query, key = self.query(x).chunk(2, -1)
        weights = query @ key.transpose(1, 2) / 32**0.5
        weights = weights.masked_fill((tokens == 0).unsqueeze(1), -1e4).softmax(-1)
        x = self.norm(x + weights @ self.value(x))
        return F.gelu(self.dense(x)) @ self.words.weight.T


class Conformer(nn.Module):
    """GLU, depthwise Conv1d, Swish and attention over spectra, as speech recognisers have."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1))
        self.enter = nn.Linear(8 * 10, 32)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(3))
        self.point, self.depth = nn.Conv1d(32, 64, 1), nn.Conv1d(32, 32, 7, padding=3, groups=32)
        self.batch_norm, self.last = nn.BatchNorm1d(32), nn.Conv1d(32, 32, 1)
        self.head = nn.Linear(32, 20)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spectra [N, 1, T, 40] to log-probabilities [N, T / 4, 20]."""
        y = self.enter(self.stem(x).permute(0, 2, 1, 3).flatten(2))
        z = self.norms[0](y)
        y = y + self.attention(z, z, z, need_weights=False)[0]
        z = F.glu(self.point(self.norms[1](y).transpose(1, 2)), 1)
        z = self.last(F.silu(self.batch_norm(self.depth(z)))).transpose(1, 2)
        return F.log_softmax(self.head(self.norms[2](y + z)), -1)


class Waves(nn.Module):
    """Causal dilated Conv1d with gates and skips, as WaveNet; a stride and a ConvTranspose1d."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv1d(1, 16, 8, 4, 2)
        self.gates = nn.ModuleList(nn.Conv1d(16, 32, 3, dilation=2**i) for i in range(4))
        self.out = nn.ModuleList(nn.Conv1d(16, 16, 1) for _ in range(4))
        self.leave = nn.ConvTranspose1d(16, 1, 8, 4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Sound [N, 1, 256] to sound of the same length."""
        x = self.enter(x)
        skips = torch.zeros_like(x)
        for index, (gate, out) in enumerate(zip(self.gates, self.out, strict=True)):
            signal, control = gate(F.pad(x, (2 * 2**index, 0))).chunk(2, 1)
            y = out(signal.tanh() * control.sigmoid())
            x, skips = x + y, skips + y
        return self.leave(F.relu(skips))


class Points(nn.Module):
    """PointNet: one network for every point, the maximum over them, broadcast back."""

    def __init__(self) -> None:
        super().__init__()
        self.local = nn.Sequential(nn.Conv1d(3, 32, 1), nn.BatchNorm1d(32), nn.ReLU())
        self.wide = nn.Sequential(nn.Conv1d(32, 64, 1), nn.BatchNorm1d(64), nn.ReLU())
        self.head = nn.Conv1d(96, 6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Points [N, 3, 64] to logits [N, 6, 64]."""
        local = self.local(x)
        whole = self.wide(local).max(2, keepdim=True).values.expand(-1, -1, x.shape[2])
        return self.head(torch.cat([local, whole], 1))


class Keywords(nn.Module):
    """A DS-CNN over spectra: depthwise and pointwise Convs, an average over all."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, 32, (10, 4), (2, 2), (4, 1), bias=False)]
        for _ in range(3):
            layers += [
                nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3, 1, 1, groups=32, bias=False),
                nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 1, bias=False),
            ]  # fmt: skip
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(32), nn.ReLU())
        self.head = nn.Linear(32, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spectra [N, 1, 48, 10] to probabilities [N, 12]."""
        return self.head(F.avg_pool2d(self.layers(x), (24, 5)).flatten(1)).softmax(1)


class Step(nn.Module):
    """One step of a recurrent cell with its state going in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTMCell(16, 24), nn.Linear(24, 4)

    def forward(
        self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Features [N, 16] and states [N, 24] twice to answers [N, 4] and the new states."""
        h, c = self.cell(x, (h, c))
        return self.head(h).sigmoid(), h, c


class Table(nn.Module):
    """A table's row: scaled, three Linear layers with ELU, TopK of the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.randn(12))
        self.register_buffer("deviation", torch.rand(12) + 0.5)
        self.layers = nn.Sequential(
            nn.Linear(12, 48), nn.BatchNorm1d(48), nn.ELU(), nn.Linear(48, 48), nn.SELU(),
            nn.Linear(48, 9),
        )  # fmt: skip

    def forward(self, row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows [N, 12] to the three best probabilities [N, 3] and all logits [N, 9]."""
        logits = self.layers((row - self.mean) / self.deviation)
        return logits.softmax(1).topk(3).values, logits


def networks() -> list[Network]:
    """All of them."""
    line = {"line": (1, 1, 32, 64)}
    wide = {"line": {0: "batch", 3: "width"}}
    both = ("dynamo", "script-dynamic")
    other = ("dynamo-dynamic", "script")
    step = {"x": (1, 16), "h": (1, 24), "c": (1, 24)}
    return [
        Network("crnn_lstm", lambda: Crnn(nn.LSTM), line, both, wide),
        Network("crnn_gru", lambda: Crnn(nn.GRU), line, ("script",), wide),
        Network("encoder_relu", lambda: Encoder("relu"), {"x": (1, 20, 12)}, both),
        Network("encoder_gelu", lambda: Encoder("gelu"), {"x": (1, 20, 12)}, other),
        Network("language", Language, {"tokens": (1, 16)}, both, classes={"tokens": 50}),
        Network("conformer", Conformer, {"spectra": (1, 1, 64, 40)}, both),
        Network("waves", Waves, {"sound": (1, 1, 256)}, both),
        Network("points", Points, {"points": (1, 3, 64)}, other),
        Network("keywords", Keywords, {"spectra": (1, 1, 48, 10)}, both),
        Network("step", Step, step, other),
        Network("table", Table, {"row": (1, 12)}, both),
    ]
