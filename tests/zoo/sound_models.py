"""Sound classifiers of transformers: on a waveform and on a spectrogram."""

from __future__ import annotations

import torch
from zoo.image_models import LABELS, Entry

_ENCODER = {
    "num_labels": LABELS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}


def _wav2vec2() -> torch.nn.Module:
    import transformers

    config = transformers.Wav2Vec2Config(
        conv_dim=[16, 16], conv_kernel=[10, 4], conv_stride=[5, 4], num_feat_extract_layers=2,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, classifier_proj_size=16, **_ENCODER,
    )  # fmt: skip
    return transformers.Wav2Vec2ForSequenceClassification(config)


def _spectrogram_transformer() -> torch.nn.Module:
    import transformers

    config = transformers.ASTConfig(
        patch_size=8, frequency_stride=8, time_stride=8, max_length=32, num_mel_bins=16, **_ENCODER
    )
    return transformers.ASTForAudioClassification(config)


SOUND_MODELS: dict[str, Entry] = {
    "wav2vec2": Entry(_wav2vec2, lambda: torch.randn(1, 800, generator=torch.Generator().manual_seed(1))),
    "ast": Entry(
        _spectrogram_transformer, lambda: torch.randn(1, 32, 16, generator=torch.Generator().manual_seed(1))
    ),
}
