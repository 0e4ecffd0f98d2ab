"""A model like Gemma 3: 262,144 SentencePiece tokens, sliding windows, a template with turns."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

from gguf import GGUFWriter, TokenType

from tests.support.models.tokens import Tokens
from tests.support.models.weights import Shape, write_shape, write_weights

__all__ = ["SIZE", "TEMPLATE", "WINDOW", "gemma_tokens", "write_gemma"]

SIZE = 262_144
WINDOW = 32
"""Size of the sliding windows, in positions."""

LAYERS = 6
"""The sixth is the first without a window."""

_UNUSED, _UNUSED_FIRST = 6242, 99
_NORMS = (
    "attn_norm", "attn_q_norm", "attn_k_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm",
)  # fmt: skip
_WORDS = (
    "▁the", "▁of", "▁and", "▁is", "▁in", "▁sea", "▁name", "name", "▁value", "value", "▁true",
    "true", "false", "null", "▁city", "city", "▁Hello", "Hello", "user", "model", "_of_turn",
    '{"', '":', '":▁', '▁"', '",', '",▁"', '"}', "}}", "}]", '[{"', "end_of", "start_of", "▁caf",
)  # fmt: skip
_CHARACTERS = (
    *map(chr, range(0x21, 0x7F)),
    "▁",
    *map(chr, range(0xA1, 0x180)),
    *map(chr, range(0x4E00, 0x9FA6)),
    *map(chr, range(0xAC00, 0xD7A4)),
    "🙂",
    "€",
)
_LETTERS = 94 + 1
"""Number of leading characters that small vocabularies have too: ASCII and the space."""

TEMPLATE = """{{ bos_token }}
{%- set offset = 1 if messages[0]['role'] == 'system' else 0 -%}
{%- for message in messages[offset:] -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Roles must alternate: user, assistant, user, and so on") }}
    {%- endif -%}
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\\n' }}
    {%- if loop.first and offset -%}{{ messages[0]['content'] + '\\n\\n' }}{%- endif -%}
    {{ message['content'] | trim }}{{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}
"""


def gemma_tokens(size: int = SIZE) -> Tokens:
    """Returns a vocabulary laid out like Gemma's; a smaller one has only its first tokens."""
    tokens = Tokens()
    tokens.add(TokenType.CONTROL, ("<pad>", "<eos>", "<bos>"))
    tokens.add(TokenType.UNKNOWN, ("<unk>",))
    tokens.add(TokenType.CONTROL, ("<mask>", "[multimodal]"))
    tokens.add(TokenType.CONTROL, (f"<unused{n}>" for n in range(_UNUSED_FIRST)))
    tokens.add(TokenType.CONTROL, ("<start_of_turn>", "<end_of_turn>"))
    tokens.add(TokenType.USER_DEFINED, ("\n" * n for n in range(1, 32)))
    tokens.add(TokenType.USER_DEFINED, (" " * n for n in range(2, 32)))
    tokens.add(TokenType.USER_DEFINED, ("<table>", "</table>", "<strong>", "</strong>"))
    tokens.add(TokenType.BYTE, (f"<0x{value:02X}>" for value in range(256)))
    num_merged = SIZE - len(tokens.texts) - len(_CHARACTERS) - (_UNUSED - _UNUSED_FIRST)
    tokens.add(TokenType.NORMAL, _CHARACTERS[:_LETTERS])
    tokens.add(TokenType.NORMAL, islice(_merged(), num_merged))
    tokens.add(TokenType.NORMAL, _CHARACTERS[_LETTERS:])
    tokens.add(TokenType.CONTROL, (f"<unused{n}>" for n in range(_UNUSED_FIRST, _UNUSED)))
    assert len(tokens.texts) == len(set(tokens.texts)) == SIZE
    return tokens.first(size)


def _merged() -> Iterator[str]:
    """Yields tokens of several characters, each of which joins two earlier tokens."""
    begun = {word[:length]: None for word in _WORDS for length in range(2, len(word) + 1)}
    yield from begun
    syllables = list(map("".join, product("bcdfghjklmnpqrstvwxyz", "aeiou")))
    for count in (1, 2, 3):
        for start in ("", "▁"):
            for chosen in product(syllables, repeat=count):
                text = start + "".join(chosen)
                if text not in begun:
                    yield text


def write_gemma(path: Path, size: int = SIZE, shape: Shape | None = None) -> Path:
    """Writes a model with `size` tokens; about 15 MB with the default size and shape."""
    tokens = gemma_tokens(size)
    shape = replace(shape or Shape(), vocabulary=size, layers=LAYERS)
    writer = GGUFWriter(path, "gemma3")
    write_shape(writer, shape)
    writer.add_sliding_window(WINDOW)
    writer.add_rope_freq_base(1e6)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    tokens.write(writer)
    writer.add_bos_token_id(tokens.id("<bos>"))
    writer.add_eos_token_id(tokens.id("<eos>"))
    writer.add_unk_token_id(tokens.id("<unk>"))
    writer.add_pad_token_id(tokens.id("<pad>"))
    writer.add_eot_token_id(tokens.id("<end_of_turn>"))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)
    write_weights(writer, shape, _NORMS)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
