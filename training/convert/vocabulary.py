"""The language model's tokenizer.json as GGUF has it, with the placeholder of images behind its last token."""

from pathlib import Path

from gguf import TokenType

from checkpoint import CheckpointError, read_json
from gguf_file import Tokenizer

IMAGE = "<image>"


def read_tokenizer(folder: Path) -> tuple[Tokenizer, int]:
    """The tokenizer, and the id of `<image>`: the first that is free, as `add_tokens` gives it."""
    spec, config = read_json(folder / "tokenizer.json"), read_json(folder / "tokenizer_config.json")
    if spec["model"].get("type") != "BPE":
        raise CheckpointError(f"{folder / 'tokenizer.json'} is {spec['model'].get('type')}; Qwen2's byte-level BPE is expected")
    tokens = {id: (token, TokenType.NORMAL) for token, id in spec["model"]["vocab"].items()}
    for added in spec["added_tokens"]:
        tokens[added["id"]] = (added["content"], TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED)
    ids = {token: id for id, (token, _) in tokens.items()}
    image = ids.setdefault(IMAGE, max(tokens) + 1)
    tokens[image] = (IMAGE, TokenType.CONTROL)
    ordered = [tokens.get(id, (f"[PAD{id}]", TokenType.UNUSED)) for id in range(max(tokens) + 1)]

    def special(key: str, fallback: str) -> int:
        value = config.get(key)
        token = value["content"] if isinstance(value, dict) else value or fallback
        if token not in ids:
            raise CheckpointError(f"{key} is {token!r}, which the vocabulary does not have")
        return ids[token]

    tokenizer = Tokenizer(
        tokens=[token for token, _ in ordered],
        types=[int(kind) for _, kind in ordered],
        merges=[pair if isinstance(pair, str) else " ".join(pair) for pair in spec["model"]["merges"]],
        end_of_turn=special("eos_token", "<|im_end|>"),
        padding=special("pad_token", "<|endoftext|>"),
    )
    return tokenizer, image
