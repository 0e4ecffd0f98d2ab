"""Models like Llama 3, Qwen 2 and Qwen 3: BPE with other pre-tokenizers than the embedded model."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gguf import GGUFWriter, TokenType

from tests.support.models.tokens import Tokens
from tests.support.models.weights import Shape, write_shape, write_weights

__all__ = ["LLAMA", "QWEN", "QWEN_3", "Family", "write_byte_pairs"]

_LLAMA_TEMPLATE = """{{- bos_token }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
    {{- message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}"""
_QWEN_TEMPLATE = """{%- if messages[0]['role'] != 'system' -%}
    {{ '<|im_start|>system\\nYou help.<|im_end|>\\n' }}
{%- endif -%}
{%- for message in messages -%}
    {{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"""

_WORDS = (
    "Ġthe", "Ġof", "Ġand", "Ġis", "Ġsea", "Ġname", "name", "true", "false", "null", "Ġcity",
    "ĠHello", "Hello", "user", "system", "assistant", '{"', '":', '":Ġ', '",', '",Ġ"', '"}',
    "}}", "123", "456", "ĊĊ", "ĠĠĠĠ", "ing", "cafÃ©", "æĹ¥æľ¬", "ðŁĻĤ", "<|", "|>",
)  # fmt: skip
"""Words in the alphabet of GPT-2, which writes bytes as letters: Ġ is a space, Ċ a line feed."""


@dataclass(frozen=True)
class Family:
    """A family of BPE models.

    Attributes:
        architecture: llama.cpp's name of the architecture.
        pre_tokenizer: llama.cpp's name of the pre-tokenizer.
        control: Control tokens.
        bos: BOS token, one of `control`.
        eos: EOS token, one of `control`.
        adds_bos: Whether every text begins with `bos`.
        template: Chat template.
        biases: Names of the matrices of each layer that have a bias.
        norms: Names of the norms of each layer.
    """

    architecture: str
    pre_tokenizer: str
    control: tuple[str, ...]
    bos: str
    eos: str
    adds_bos: bool
    template: str
    biases: tuple[str, ...] = ()
    norms: tuple[str, ...] = ("attn_norm", "ffn_norm")


LLAMA = Family(
    architecture="llama",
    pre_tokenizer="llama-bpe",
    control=(
        "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
        "<|eom_id|>", "<|eot_id|>",
    ),
    bos="<|begin_of_text|>",
    eos="<|eot_id|>",
    adds_bos=True,
    template=_LLAMA_TEMPLATE,
)  # fmt: skip
QWEN = Family(
    architecture="qwen2",
    pre_tokenizer="qwen2",
    control=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    bos="<|endoftext|>",
    eos="<|im_end|>",
    adds_bos=False,
    template=_QWEN_TEMPLATE,
    biases=("attn_q", "attn_k", "attn_v"),
)
QWEN_3 = replace(
    QWEN,
    architecture="qwen3",
    biases=(),
    norms=("attn_norm", "attn_q_norm", "attn_k_norm", "ffn_norm"),
)


def write_byte_pairs(path: Path, family: Family, shape: Shape | None = None) -> Path:
    """Writes a model of a family; the file has some tens of kilobytes with the default shape."""
    pairs = dict.fromkeys(_pairs())
    tokens = Tokens()
    tokens.add(TokenType.NORMAL, _alphabet())
    tokens.add(TokenType.NORMAL, dict.fromkeys(first + second for first, second in pairs))
    tokens.add(TokenType.CONTROL, family.control)
    shape = replace(shape or Shape(head=8), vocabulary=len(tokens.texts))
    writer = GGUFWriter(path, family.architecture)
    write_shape(writer, shape)
    writer.add_rope_freq_base(5e5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(family.pre_tokenizer)
    tokens.write(writer)
    writer.add_token_merges([f"{first} {second}" for first, second in pairs])
    writer.add_bos_token_id(tokens.id(family.bos))
    writer.add_eos_token_id(tokens.id(family.eos))
    writer.add_add_bos_token(family.adds_bos)
    writer.add_chat_template(family.template)
    write_weights(writer, shape, family.norms, family.biases)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _pairs() -> Iterator[tuple[str, str]]:
    """Yields the merges that build the words letter by letter."""
    for word in _WORDS:
        for length in range(1, len(word)):
            yield word[:length], word[length]


def _alphabet() -> list[str]:
    """Returns the letter of each byte in GPT-2's alphabet."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [value for value in range(256) if value not in shown]
    return [chr(value if value in shown else 256 + others.index(value)) for value in range(256)]
