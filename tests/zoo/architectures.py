"""Image classifiers whose ways of joining layers transformers' models lack, written small by their papers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional
from zoo.image_models import LABELS, Entry

Tensor = torch.Tensor


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution that keeps sizes, and its normalisation."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


def _unit(*given: int) -> nn.Sequential:
    return nn.Sequential(*_conv(*given), nn.ReLU(inplace=True))


def _pooled(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, LABELS)]


class _Inception(nn.Module):  # type: ignore[misc]  # mypy does not follow torch
    """GoogLeNet: four ways side by side, joined along the channels."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.ways = nn.ModuleList(
            [
                _unit(inputs, width),
                nn.Sequential(_unit(inputs, width), _unit(width, 2 * width, 3)),
                nn.Sequential(_unit(inputs, width), _unit(width, width, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), _unit(inputs, width)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([way(x) for way in self.ways], 1)


class _GoogLeNet(nn.Module):  # type: ignore[misc]
    """With its auxiliary head, which gives nothing in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _unit(3, 8, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5), _unit(8, 12, 3)
        )
        self.first, self.second = _Inception(12, 4), _Inception(20, 6)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.auxiliary = nn.Sequential(*_pooled(20))
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(30, LABELS)
        )

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        h = self.first(self.stem(x))
        auxiliary = self.auxiliary(h) if self.training else None
        logits = self.head(self.second(self.pool(h)))
        return logits if auxiliary is None else (logits, auxiliary)


class _Residual(nn.Module):  # type: ignore[misc]
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.inner = nn.Sequential(_unit(inputs, outputs, 3, stride), *_conv(outputs, outputs, 3))
        shortcut = [*([nn.MaxPool2d(stride)] if stride > 1 else []), *_conv(inputs, outputs)]
        self.shortcut = nn.Sequential(*(shortcut if (inputs, stride) != (outputs, 1) else []))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.inner(x) + self.shortcut(x))


class _Tree(nn.Module):  # type: ignore[misc]
    """DLA: the root of a tree joins what all its branches gave, and those of the trees around it."""

    def __init__(self, levels: int, inputs: int, outputs: int, stride: int = 1, rooted: int = 0) -> None:
        super().__init__()
        rooted += 2 * outputs
        self.levels = levels
        build: Callable[..., nn.Module] = _Residual if levels == 1 else _Tree
        depth = [] if levels == 1 else [levels - 1]
        self.first = build(*depth, inputs, outputs, stride)
        self.second = build(*depth, outputs, outputs, *([] if levels == 1 else [1, rooted - outputs]))
        self.root = _unit(rooted, outputs) if levels == 1 else None

    def forward(self, x: Tensor, children: tuple[Tensor, ...] = ()) -> Tensor:
        first = self.first(x)
        if self.root is None:
            return self.second(first, (*children, first))
        return self.root(torch.cat([self.second(first), first, *children], 1))


def _dla() -> nn.Module:
    return nn.Sequential(
        _unit(3, 8, 7), _unit(8, 8, 3, 2), _Tree(1, 8, 12, 2), _Tree(2, 12, 16, 2), _Tree(1, 16, 24, 2),
        *_pooled(24),
    )  # fmt: skip


class _Dense(nn.Module):  # type: ignore[misc]
    """DenseNet: each layer reads all before it, through a normalisation that no convolution precedes."""

    def __init__(self, inputs: int, growth: int, layers: int) -> None:
        super().__init__()
        widths = range(inputs, inputs + growth * layers, growth)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(n),
                nn.ReLU(),
                *_conv(n, 4 * growth),
                nn.ReLU(),
                *_conv(4 * growth, growth, 3)[:1],
            )
            for n in widths
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


def _dense_net(layers: int = 3) -> nn.Module:
    parts: list[nn.Module] = [_unit(3, 8, 7, 2), nn.MaxPool2d(3, 2, 1)]
    width = 8
    for last in (False, True):
        parts.append(_Dense(width, 4, layers))
        width += 4 * layers
        parts += [nn.BatchNorm2d(width), nn.ReLU()]
        if not last:
            parts += [nn.Conv2d(width, width // 2, 1, bias=False), nn.AvgPool2d(2)]
            width //= 2
    return nn.Sequential(*parts, *_pooled(width))


class _Standardised(nn.Conv2d):  # type: ignore[misc]
    """NF-ResNet: the weight is standardised as a batch of one, at every call."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2)
        self.gain = nn.Parameter(torch.ones(outputs))

    def forward(self, x: Tensor) -> Tensor:
        flat = self.weight.reshape(1, self.out_channels, -1)
        scale = self.gain * self.weight[0].numel() ** -0.5
        weight = functional.batch_norm(flat, None, None, weight=scale, training=True, momentum=0.0, eps=1e-6)
        return functional.conv2d(x, weight.reshape_as(self.weight), self.bias, self.stride, self.padding)


class _NormFree(nn.Module):  # type: ignore[misc]
    def __init__(self, inputs: int, outputs: int, stride: int, beta: float) -> None:
        super().__init__()
        self.beta, self.gain = beta, nn.Parameter(torch.tensor(0.5))
        self.first = _Standardised(inputs, outputs, 3, stride)
        self.second = _Standardised(outputs, outputs, 3)
        pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
        same = (inputs, stride) == (outputs, 1)
        self.shortcut = nn.Identity() if same else nn.Sequential(pool, _Standardised(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = 1.7139588594436646 * functional.relu(x) * self.beta
        shortcut = self.shortcut(h) if isinstance(self.shortcut, nn.Sequential) else x
        h = self.second(1.7139588594436646 * functional.relu(self.first(h)))
        return 0.2 * self.gain * h + shortcut


def _norm_free() -> nn.Module:
    blocks = [_NormFree(8, 12, 2, 1.0), _NormFree(12, 12, 1, 0.98), _NormFree(12, 16, 2, 0.96)]
    return nn.Sequential(_Standardised(3, 8, 3, 2), *blocks, nn.ReLU(), *_pooled(16))


class _SpatialGate(nn.Module):  # type: ignore[misc]
    """gMLP: half of the channels, mixed along the tokens, gate the others."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU())
        self.norm, self.mix = nn.LayerNorm(2 * width), nn.Conv1d(tokens, tokens, 1)
        self.after = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        kept, gate = self.before(x).chunk(2, -1)
        return x + self.after(kept * self.mix(self.norm(gate)))


class _GMLP(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.blocks = nn.Sequential(_SpatialGate(16, 16), _SpatialGate(16, 16), nn.LayerNorm(16))
        self.head = nn.Linear(16, LABELS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class _Inverted(nn.Module):  # type: ignore[misc]
    """MobileNetV3: widened, filtered by channel, squeezed and excited by a hard sigmoid."""

    def __init__(self, inputs: int, middle: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.wide = nn.Sequential(
            *_conv(inputs, middle),
            nn.Hardswish(),
            *_conv(middle, middle, kernel, stride, middle),
            nn.Hardswish(),
        )
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(middle, 8, 1), nn.ReLU(), nn.Conv2d(8, middle, 1),
            nn.Hardsigmoid(),
        )  # fmt: skip
        self.narrow = nn.Sequential(*_conv(middle, outputs))
        self.adds = (inputs, stride) == (outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.wide(x)
        h = self.narrow(self.squeeze(h) * h)
        return x + h if self.adds else h


def _mobile() -> nn.Module:
    return nn.Sequential(
        *_conv(3, 8, 3, 2), nn.Hardswish(), _Inverted(8, 16, 8, 3, 1), _Inverted(8, 24, 12, 5, 2),
        _Inverted(12, 32, 12, 5, 1), *_conv(12, 32), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(32, 24), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(24, LABELS),
    )  # fmt: skip


class _Shuffle(nn.Module):  # type: ignore[misc]
    """ShuffleNetV2: one half goes through layers, then the channels of both are interleaved."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        entering = half if stride == 1 else inputs
        self.right = nn.Sequential(
            _unit(entering, half), *_conv(half, half, 3, stride, half), _unit(half, half)
        )
        left = [*_conv(inputs, inputs, 3, stride, inputs), _unit(inputs, half)]
        self.left = None if stride == 1 else nn.Sequential(*left)

    def forward(self, x: Tensor) -> Tensor:
        if self.left is None:
            kept, entering = x.chunk(2, dim=1)
            joined = torch.cat([kept, self.right(entering)], 1)
        else:
            joined = torch.cat([self.left(x), self.right(x)], 1)
        batch, channels, height, width = joined.size()
        parted = joined.view(batch, 2, channels // 2, height, width)
        return torch.transpose(parted, 1, 2).contiguous().view(batch, channels, height, width)


def _shuffle() -> nn.Module:
    return nn.Sequential(
        _unit(3, 8, 3, 2), nn.MaxPool2d(3, 2, 1), _Shuffle(8, 16, 2), _Shuffle(16, 16, 1),
        _Shuffle(16, 24, 2), _unit(24, 32), *_pooled(32),
    )  # fmt: skip


class _Grouped(nn.Module):  # type: ignore[misc]
    """RegNet: a bottleneck of grouped convolutions, excited by the block's own input's width."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.before = nn.Sequential(_unit(inputs, outputs), _unit(outputs, outputs, 3, stride, outputs // 4))
        self.excite = nn.Sequential(
            nn.Conv2d(outputs, inputs // 4, 1), nn.ReLU(), nn.Conv2d(inputs // 4, outputs, 1), nn.Sigmoid()
        )
        self.after = nn.Sequential(*_conv(outputs, outputs))
        self.shortcut = nn.Sequential(*(_conv(inputs, outputs, 1, stride) if inputs != outputs else []))

    def forward(self, x: Tensor) -> Tensor:
        h = self.before(x)
        h = self.after(h * self.excite(h.mean((2, 3), keepdim=True)))
        return functional.relu(h + self.shortcut(x))


def _regular() -> nn.Module:
    return nn.Sequential(
        _unit(3, 8, 3, 2), _Grouped(8, 16, 2), _Grouped(16, 16, 1), _Grouped(16, 24, 2), *_pooled(24)
    )


class _Window(nn.Module):  # type: ignore[misc]
    """Swin: attention within windows, which every other block shifts around the edges."""

    def __init__(self, side: int, width: int, window: int, shift: int) -> None:
        super().__init__()
        self.side, self.window, self.shift, self.heads = side, window, shift, 2
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, self.heads))
        place = torch.stack(torch.meshgrid([torch.arange(window)] * 2, indexing="ij")).flatten(1)
        apart = (place[:, :, None] - place[:, None]) + window - 1
        self.register_buffer("index", apart[0] * (2 * window - 1) + apart[1])
        self.register_buffer("mask", self._mask())

    def _mask(self) -> Tensor:
        """Minus a hundred between places that the shift brought together."""
        region = torch.zeros(1, self.side, self.side, 1)
        edges = [slice(0, -self.window), slice(-self.window, -self.shift), slice(-self.shift, None)]
        for i, (rows, columns) in enumerate((r, c) for r in edges for c in edges):
            region[:, rows, columns] = i if self.shift else 0
        parts = self._parted(region).squeeze(-1)
        return (parts[:, None] != parts[:, :, None]).float() * -100.0

    def _parted(self, x: Tensor) -> Tensor:
        n, w = self.side // self.window, self.window
        parts = x.view(x.shape[0], n, w, n, w, x.shape[-1]).permute(0, 1, 3, 2, 4, 5)
        return parts.reshape(-1, w * w, x.shape[-1])

    def _joined(self, parts: Tensor) -> Tensor:
        n, w = self.side // self.window, self.window
        x = parts.view(-1, n, n, w, w, parts.shape[-1]).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(-1, self.side, self.side, parts.shape[-1])

    def _attention(self, parts: Tensor) -> Tensor:
        b, t, c = parts.shape
        q, k, v = self.qkv(parts).reshape(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        bias = self.bias[self.index.reshape(-1)].view(t, t, -1).permute(2, 0, 1)
        scores = scores + bias.unsqueeze(0)
        windows = self.mask.shape[0]
        scores = scores.view(b // windows, windows, self.heads, t, t) + self.mask[None, :, None]
        weights = scores.view(-1, self.heads, t, t).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, c))

    def forward(self, x: Tensor) -> Tensor:
        shift = self.shift
        h = torch.roll(self.norms[0](x), (-shift, -shift), (1, 2)) if shift else self.norms[0](x)
        h = self._joined(self._attention(self._parted(h)))
        x = x + (torch.roll(h, (shift, shift), (1, 2)) if shift else h)
        return x + self.mlp(self.norms[1](x))


class _Merge(nn.Module):  # type: ignore[misc]
    """Four neighbours become one token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.reduce = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.reduce(self.norm(torch.cat(parts, -1)))


class _Shifted(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(
            _Window(8, 8, 4, 0), _Window(8, 8, 4, 2), _Merge(8), _Window(4, 16, 2, 0), _Window(4, 16, 2, 1),
            nn.LayerNorm(16),
        )  # fmt: skip
        self.head = nn.Linear(16, LABELS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patches(x).permute(0, 2, 3, 1)).mean((1, 2)))


def _image(size: int) -> Callable[[], Tensor]:
    return lambda: torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))


ARCHITECTURES: dict[str, Entry] = {
    "googlenet": Entry(_GoogLeNet, _image(48)),
    "dla": Entry(_dla, _image(32)),
    "densenet": Entry(_dense_net, _image(32)),
    "densenet-deep": Entry(lambda: _dense_net(16), _image(32)),
    "nf-resnet": Entry(_norm_free, _image(32)),
    "gmlp": Entry(_GMLP, _image(32)),
    "mobilenetv3": Entry(_mobile, _image(32)),
    "shufflenetv2": Entry(_shuffle, _image(32)),
    "regnet": Entry(_regular, _image(32)),
    "shifted-windows": Entry(_Shifted, _image(32)),
}
