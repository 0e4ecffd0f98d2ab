"""A model like Phi 3: SentencePiece that adds a space before texts, and strips control tokens.

llama.cpp recognizes by the model's name that white space after its control tokens is dropped.
"""

from pathlib import Path

from gguf import GGUFWriter, TokenType

from tests.support.models.tokens import Tokens
from tests.support.models.weights import Shape, write_shape, write_weights

__all__ = ["TEMPLATE", "write_phi"]

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
_WORDS = ("▁t", "▁th", "▁the", "▁s", "▁se", "▁sea", "se", "sea", '{"', '":', "<|", "|>")


def write_phi(path: Path) -> Path:
    """Writes the model, which has some tens of kilobytes."""
    tokens = Tokens()
    tokens.add(TokenType.UNKNOWN, ("<unk>",))
    tokens.add(TokenType.CONTROL, ("<s>", "</s>"))
    tokens.add(TokenType.BYTE, (f"<0x{value:02X}>" for value in range(256)))
    tokens.add(TokenType.NORMAL, (*_WORDS, "▁", *map(chr, range(0x21, 0x7F)), "é", "日"))
    roles = ("<|system|>", "<|user|>", "<|assistant|>")
    tokens.add(TokenType.CONTROL, ("<|endoftext|>", *roles, "<|end|>"))
    shape = Shape(len(tokens.texts))
    writer = GGUFWriter(path, "llama")
    writer.add_name("Phi-3 tiny")
    write_shape(writer, shape)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    tokens.write(writer)
    writer.add_bos_token_id(tokens.id("<s>"))
    writer.add_eos_token_id(tokens.id("<|endoftext|>"))
    writer.add_unk_token_id(tokens.id("<unk>"))
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE)
    write_weights(writer, shape, ("attn_norm", "ffn_norm"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
