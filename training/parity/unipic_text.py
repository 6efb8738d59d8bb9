"""A small byte-level BPE vocabulary for the tiny model: trained here on the templates' words, so that ids can be compared without a download."""

from gguf import TokenType
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as HuggingFace

from gguf_file import Tokenizer
from models import TEMPLATES

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>")
VOCABULARY = 316  # 256 bytes, 56 merges, the specials; the embedding table has rows to spare, as Qwen's has
CORPUS = ("A red circle and a blue square.", "What is in the picture? Describe the image in detail.", "Make the circle green, remove the square.")

# Qwen2's published expression.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def make() -> HuggingFace:
    out = HuggingFace(models.BPE())
    out.normalizer = normalizers.NFC()
    out.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    out.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIALS), initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    out.train_from_iterator([*TEMPLATES.values(), *CORPUS] * 2, trainer)
    out.add_special_tokens([AddedToken(token, special=True) for token in SPECIALS])
    return out


def described(tokenizer: HuggingFace, merges: list[list[str]]) -> Tokenizer:
    """As the GGUF file has it."""
    tokens = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    return Tokenizer(
        tokens=tokens,
        types=[TokenType.CONTROL if token in SPECIALS else TokenType.NORMAL for token in tokens],
        merges=[" ".join(pair) for pair in merges],
        end_of_turn=tokens.index("<|im_end|>"),
        padding=tokens.index("<|endoftext|>"),
    )
