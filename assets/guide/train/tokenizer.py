"""Trains the guide's byte-level BPE on a sample of the training text.

Spaces, words, single digits and single marks never share a token. A value is then the same tokens inside a sentence
and inside JSON, so that copying it into a tool call is copying its tokens.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MARKERS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
PIECES = r"\p{L}+|\p{N}|[^\s\p{L}\p{N}]|\s+"


def train(texts: list[str], vocab: int) -> Tokenizer:
    """A tokenizer of exactly `vocab` entries; special tokens and markers come last, as in Qwen3."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    extra = SPECIAL + MARKERS
    trainer = trainers.BpeTrainer(vocab_size=vocab - len(extra), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in MARKERS])
    return tokenizer


def main() -> None:
    from generate import sample_texts

    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--facts", type=Path, default=Path(__file__).parent / "facts.json")
    cli.add_argument("--vocab", type=int, default=2560)
    cli.add_argument("--chats", type=int, default=40_000)
    cli.add_argument("--out", type=Path, default=Path(__file__).parent.parent)
    args = cli.parse_args()
    tokenizer = train(sample_texts(args.facts, args.chats), args.vocab)
    tokenizer.save(str(args.out / "tokenizer.json"), pretty=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 4096,
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": None,
        "errors": "replace",
        "clean_up_tokenization_spaces": False,
        "additional_special_tokens": SPECIAL[1:],
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(t)): {"content": t, "lstrip": False, "normalized": False, "rstrip": False,
                                            "single_word": False, "special": t in SPECIAL}
            for t in SPECIAL + MARKERS
        },
    }
    (args.out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    print(f"{tokenizer.get_vocab_size()} entries")


if __name__ == "__main__":
    main()
