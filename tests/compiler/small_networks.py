"""Small networks of other kinds than LPRNet, exported by both of torch's exporters."""

from __future__ import annotations

import io
import logging
import warnings

import onnx
import torch
import torch.nn.functional as F  # noqa: N812 - as all of torch's own documentation
from torch import nn


class Residual(nn.Module):
    """Residual Adds, one with a strided shortcut, and a classifier."""

    def __init__(self):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.c2, self.b2 = nn.Conv2d(16, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.c3, self.b3 = nn.Conv2d(16, 32, 1, 2, bias=False), nn.BatchNorm2d(32)
        self.c4, self.b4 = nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = F.relu(self.b1(self.c1(x)))
        x = F.relu(self.b2(self.c2(x)) + x)
        x = F.relu(self.b4(self.c4(x)) + self.b3(self.c3(x)))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class UNet(nn.Module):
    """ConvTranspose and a skip Concat."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = self._double(3, 8), self._double(8, 16), self._double(16, 8)
        self.up, self.norm = nn.ConvTranspose2d(16, 8, 2, 2), nn.BatchNorm2d(8)
        self.out = nn.Conv2d(8, 2, 1)

    @staticmethod
    def _double(inputs, outputs):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1)
        )

    def forward(self, x):
        a = self.a(x)
        up = F.relu6(self.norm(self.up(self.b(F.max_pool2d(a, 2)))))
        return torch.sigmoid(self.out(self.c(torch.cat([a, up], 1))))


class Depthwise(nn.Module):
    """Depthwise separable Convs, ReLU6, Hardswish, Dropout."""

    def __init__(self):
        super().__init__()
        layers, inputs = [], 3
        for outputs, stride in ((16, 2), (24, 1), (24, 2)):
            layers += [
                nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
                nn.BatchNorm2d(inputs),
                nn.ReLU6(),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.Hardswish(),
            ]
            inputs = outputs
        self.features, self.drop = nn.Sequential(*layers), nn.Dropout(0.2)
        self.head = nn.Linear(24, 5)

    def forward(self, x):
        return self.head(self.drop(self.features(x).mean((2, 3))))


class Recurrent(nn.Module):
    """A Conv and a bidirectional LSTM."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.lstm = nn.LSTM(8 * 16, 12, bidirectional=True, batch_first=True)
        self.head = nn.Linear(24, 7)

    def forward(self, x):
        maps = F.relu(self.norm(self.conv(x)))
        n, c, h, w = maps.shape
        sequence, _ = self.lstm(maps.permute(0, 3, 1, 2).reshape(n, w, c * h))
        return self.head(sequence).log_softmax(-1)


class Shuffled(nn.Module):
    """Grouped Conv, channel shuffle, squeeze-and-excitation, Resize, strided channel slices."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 16, 3, 1, 1), nn.Conv2d(16, 4, 3)
        self.grouped, self.norm = nn.Conv2d(8, 8, 1, groups=2), nn.BatchNorm2d(8)
        self.squeeze, self.excite = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)

    def forward(self, x):
        a, b = F.relu(self.first(x)).chunk(2, 1)
        x = torch.cat([a, F.relu(self.norm(self.grouped(b)))], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        x = x * torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.last(x)[:, ::2], x[:, 1::2].amax(1)


class Detector(nn.Module):
    """A feature pyramid: Resize to a finer grid, Concat, and heads of two sizes."""

    def __init__(self):
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 32, 3, 2, 1)
        self.lateral, self.fuse = nn.Conv2d(32, 16, 1), nn.Conv2d(32, 16, 3, 1, 1)
        self.coarse, self.fine = nn.Conv2d(32, 12, 1), nn.Conv2d(16, 12, 1)

    def forward(self, x):
        fine = F.silu(self.stem(x))
        coarse = F.silu(self.down(F.max_pool2d(fine, 3, 1, 1)))
        up = F.interpolate(self.lateral(coarse), scale_factor=2, mode="nearest")
        fine = F.silu(self.fuse(torch.cat([fine, up], 1)))
        return torch.sigmoid(self.fine(fine)), torch.sigmoid(self.coarse(coarse))


NETWORKS = (Residual, UNet, Depthwise, Recurrent, Shuffled)


def exported(network: type[nn.Module], exporter: str) -> onnx.ModelProto:
    """Random weights, BatchNormalizations that have seen something, symbolic batch."""
    torch.manual_seed(0)
    model = network().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    image, buffer = torch.randn(2, 3, 32, 32), io.BytesIO()
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if exporter == "export":
                dims = ({0: torch.export.Dim("n", min=1)},)
                torch.onnx.export(
                    model, (image,), buffer, dynamo=True, dynamic_shapes=dims, optimize=False,
                    verbose=False,
                )  # fmt: skip
            else:
                torch.onnx.export(
                    model, image, buffer, dynamo=False, opset_version=12, input_names=["x"],
                    dynamic_axes={"x": {0: "n"}}, do_constant_folding=False,
                )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    return onnx.load_from_string(buffer.getvalue())
