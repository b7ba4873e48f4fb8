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

_LLAMA = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
}
_RELATIVE = {"pos_att_type": ["c2p", "p2c"], "relative_attention": True}

TEXT_MODELS: dict[str, Entry] = {
    "bert": _entry("Bert", **_BERT),
    "roberta": _entry("Roberta", **_BERT),
    "electra": _entry("Electra", embedding_size=WIDTH, **_BERT),
    "albert": _entry("Albert", embedding_size=WIDTH, **_BERT),
    "distilbert": _entry(
        "DistilBert", dim=WIDTH, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=32
    ),
    "deberta": _entry("Deberta", **_RELATIVE, **_BERT),
    "deberta-v2": _entry("DebertaV2", **_RELATIVE, **_BERT),
    "mpnet": _entry("MPNet", **_BERT),
    "convbert": _entry("ConvBert", embedding_size=WIDTH, **_BERT),
    "squeezebert": _entry("SqueezeBert", embedding_size=WIDTH, **_BERT),
    "mobilebert": _entry(
        "MobileBert", embedding_size=WIDTH, intra_bottleneck_size=16, true_hidden_size=16, **_BERT
    ),
    "modernbert": _entry(
        "ModernBert", hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=32, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1,
        sep_token_id=2,
    ),
    "fnet": _entry("FNet", **{k: v for k, v in _BERT.items() if k != "num_attention_heads"}),
    "xlnet": _entry("XLNet", d_model=WIDTH, n_layer=2, n_head=4, d_inner=64),
    "funnel": _entry("Funnel", d_model=WIDTH, block_sizes=[1, 1], n_head=4, d_head=8, d_inner=64),
    "gpt2": _entry("GPT2", n_embd=WIDTH, n_layer=2, n_head=4, n_positions=32, pad_token_id=0),
    "opt": _entry(
        "OPT", hidden_size=WIDTH, word_embed_proj_dim=WIDTH, num_hidden_layers=2, num_attention_heads=4,
        ffn_dim=64, max_position_embeddings=32,
    ),
    "bloom": _entry("Bloom", hidden_size=WIDTH, n_layer=2, n_head=4, pad_token_id=0),
    "llama": _entry("Llama", **_LLAMA),
    "mistral": _entry("Mistral", **_LLAMA),
    "qwen2": _entry("Qwen2", **_LLAMA),
    "qwen3": _entry("Qwen3", head_dim=8, **_LLAMA),
    "gemma": _entry("Gemma", head_dim=8, **_LLAMA),
    "gemma2": _entry("Gemma2", head_dim=8, **_LLAMA),
}  # fmt: skip
