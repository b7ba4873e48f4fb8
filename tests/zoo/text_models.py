"""Text classifiers of transformers, explained at their word embeddings beside an attention mask."""

from __future__ import annotations

from typing import Any

import torch
from zoo.image_models import LABELS, Entry

LENGTH, WIDTH = 9, 32


def _example() -> dict[str, torch.Tensor]:
    embeds = torch.randn(1, LENGTH, WIDTH, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(1, LENGTH, dtype=torch.int64)
    mask[:, -2:] = 0  # padding
    return {"inputs_embeds": embeds, "attention_mask": mask}


def _entry(name: str, **config: Any) -> Entry:
    def build() -> torch.nn.Module:
        import transformers

        made = getattr(transformers, f"{name}Config")(num_labels=LABELS, vocab_size=50, **config)
        model: torch.nn.Module = getattr(transformers, f"{name}ForSequenceClassification")(made)
        return model

    return Entry(build, _example)


_BERT = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}

TEXT_MODELS: dict[str, Entry] = {
    "bert": _entry("Bert", **_BERT),
    "roberta": _entry("Roberta", **_BERT),
    "electra": _entry("Electra", embedding_size=WIDTH, **_BERT),
    "albert": _entry("Albert", embedding_size=WIDTH, **_BERT),
    "distilbert": _entry(
        "DistilBert", dim=WIDTH, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=32
    ),
}
