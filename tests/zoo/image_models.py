"""Image classifiers of transformers, built small from configurations: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

LABELS = 5


class Entry(NamedTuple):
    """How to build a model, and an example of its input."""

    build: Callable[[], torch.nn.Module]
    example: Callable[[], Any]


def _image(size: int) -> Callable[[], torch.Tensor]:
    return lambda: torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))


def _entry(name: str, size: int, **config: Any) -> Entry:
    """`name` as in ResNetConfig and ResNetForImageClassification."""

    def build() -> torch.nn.Module:
        import transformers

        made = getattr(transformers, f"{name}Config")(num_labels=LABELS, **config)
        model: torch.nn.Module = getattr(transformers, f"{name}ForImageClassification")(made)
        return model

    return Entry(build, _image(size))


def _vision_part(name: str, **config: Any) -> Entry:
    """The image classifier of a model of images and texts."""
    return _entry(name, 32, vision_config=config)


_VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
_SWIN = {
    "image_size": 32,
    "patch_size": 2,
    "embed_dim": 16,
    "depths": [2, 2],
    "num_heads": [2, 4],
    "window_size": 4,
}
_STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}

IMAGE_MODELS: dict[str, Entry] = {
    "resnet-basic": _entry("ResNet", 32, embedding_size=8, layer_type="basic", **_STAGES),
    "resnet-bottleneck": _entry("ResNet", 32, embedding_size=8, layer_type="bottleneck", **_STAGES),
    "regnet-x": _entry("RegNet", 32, embedding_size=8, groups_width=8, layer_type="x", **_STAGES),
    "regnet-y": _entry("RegNet", 32, embedding_size=8, groups_width=8, layer_type="y", **_STAGES),
    "bit": _entry("Bit", 32, embedding_size=8, num_groups=2, **_STAGES),
    "bit-same-padding": _entry("Bit", 33, embedding_size=8, num_groups=2, global_padding="SAME", **_STAGES),
    "convnext": _entry("ConvNext", 64, **_STAGES),
    "convnextv2": _entry("ConvNextV2", 64, **_STAGES),
    "vit": _entry("ViT", 32, **_VIT),
    "vit-msn": _entry("ViTMSN", 32, **_VIT),
    "deit": _entry("DeiT", 32, **_VIT),
    "beit": _entry("Beit", 32, use_relative_position_bias=True, **_VIT),
    "data2vec-vision": _entry("Data2VecVision", 32, use_relative_position_bias=True, **_VIT),
    "dinov2": _entry("Dinov2", 32, **{k: v for k, v in _VIT.items() if k != "intermediate_size"}),
    "dinov2-swiglu": _entry(
        "Dinov2", 32, use_swiglu_ffn=True, **{k: v for k, v in _VIT.items() if k != "intermediate_size"}
    ),
    "dinov2-registers": _entry(
        "Dinov2WithRegisters", 32, **{k: v for k, v in _VIT.items() if k != "intermediate_size"}
    ),
    "swin": _entry("Swin", 32, **_SWIN),
    "swinv2": _entry("Swinv2", 32, **_SWIN),
    "poolformer": _entry(
        "PoolFormer", 64, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1], layer_scale_init_value=0.5
    ),
    "mobilevit": _entry(
        "MobileViT",
        64,
        image_size=64,
        hidden_sizes=[16, 24, 32],
        neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 32],
        num_attention_heads=2,
    ),
    "mobilevitv2": _entry(
        "MobileViTV2", 64, image_size=64, width_multiplier=0.25, n_attn_blocks=[1, 1, 1],
        base_attn_unit_dims=[32, 64, 96],
    ),
    "efficientnet": _entry(
        "EfficientNet", 64, image_size=64, width_coefficient=1.0, depth_coefficient=0.5, hidden_dim=1280,
        kernel_sizes=[3, 5, 3], in_channels=[32, 8, 16], out_channels=[8, 16, 24], strides=[1, 2, 2],
        num_block_repeats=[1, 2, 2], expand_ratios=[1, 4, 4], depthwise_padding=[],
    ),
    "mobilenetv1": _entry("MobileNetV1", 64, image_size=64, depth_multiplier=0.25),
    "mobilenetv2": _entry("MobileNetV2", 64, image_size=64, depth_multiplier=0.25),
    "levit": _entry(
        "Levit", 64, image_size=64, patch_size=16, hidden_sizes=[16, 32, 48], num_attention_heads=[2, 4, 6],
        depths=[1, 1, 1], key_dim=[8, 8, 8],
    ),
    "pvt": _entry(
        "Pvt", 64, image_size=64, hidden_sizes=[8, 16, 20, 32], depths=[1, 1, 1, 1], mlp_ratios=[2, 2, 2, 2]
    ),
    "pvtv2": _entry(
        "PvtV2", 64, image_size=64, hidden_sizes=[8, 16, 20, 32], depths=[1, 1, 1, 1], mlp_ratios=[2, 2, 2, 2]
    ),
    "cvt": _entry("Cvt", 64, embed_dim=[16, 24, 36], num_heads=[1, 2, 3], depth=[1, 2, 3]),
    "segformer": _entry(
        "Segformer", 64, hidden_sizes=[8, 16, 20, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 4, 8]
    ),
    "focalnet": _entry("FocalNet", 32, image_size=32, embed_dim=16, depths=[1, 1, 1, 1]),
    "hiera": _entry(
        "Hiera", 64, image_size=[64, 64], embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 4, 8],
    ),
    "swiftformer": _entry("SwiftFormer", 64, image_size=64, depths=[1, 1, 2, 1], embed_dims=[8, 16, 24, 32]),
    "hgnetv2": _entry(
        "HGNetV2", 64, stem_channels=[3, 8, 12], hidden_sizes=[16, 24, 32, 40],
        stage_in_channels=[12, 16, 24, 32], stage_mid_channels=[8, 8, 12, 16],
        stage_out_channels=[16, 24, 32, 40], stage_num_blocks=[1, 1, 1, 1], stage_numb_of_layers=[2, 2, 2, 2],
    ),
    "clip": _vision_part("CLIP", **_VIT),
    "siglip": _vision_part("Siglip", **_VIT),
    "ijepa": _entry("IJepa", 32, **_VIT),
    "donut-swin": _entry("DonutSwin", 32, **_SWIN),
    "textnet": _entry(
        "TextNet", 32, stem_num_channels=3, stem_out_channels=8, image_size=[32, 32],
        hidden_sizes=[8, 8, 16, 16, 24],
    ),
}  # fmt: skip
