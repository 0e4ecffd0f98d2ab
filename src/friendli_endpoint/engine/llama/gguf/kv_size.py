"""Size of the KV cache, computed from the metadata of a model file."""

from collections.abc import Mapping

from friendli_endpoint.engine.llama.gguf.reading import Value

__all__ = ["kv_bytes_per_token"]

_MAX_LAYERS = 512
"""Maximum number of layers that llama.cpp loads."""


def kv_bytes_per_token(metadata: Mapping[str, Value], architecture: str) -> int | None:
    """Computes the size of the KV cache of one token.

    The sum over all layers that have a KV cache: KV heads of the layer, times the width of a key
    plus a value, times 2 bytes. Layers with a sliding window count in full, because they keep all
    positions: a cached prefix may end at any of them.

    Args:
        metadata: Metadata of a GGUF file.
        architecture: The value of `general.architecture`.

    Returns:
        Bytes per token, or None if the metadata are incomplete.
    """
    shape = _Shape(metadata, architecture)
    layers, embedding = shape.number("block_count"), shape.number("embedding_length")
    if embedding is None or layers is None or layers > _MAX_LAYERS:
        return None
    heads = shape.by_layer("attention.head_count", layers)
    if max(heads, default=0) < 1:
        return None
    kv_heads = shape.by_layer("attention.head_count_kv", layers) or heads
    widths = [shape.width(suffix, embedding // max(heads)) for suffix in ("", "_swa")]
    windows = shape.get("attention.sliding_window_pattern")
    # The last layers of some models use the KV caches of earlier layers.
    cached_layers = range(layers - (shape.number("attention.shared_kv_layers") or 0))
    return 2 * sum(
        count * widths[bool(isinstance(windows, list) and windows[layer : layer + 1] == [True])]
        for layer, count in zip(cached_layers, kv_heads, strict=False)
    )


class _Shape:
    """Metadata that describe the layers of one architecture."""

    def __init__(self, metadata: Mapping[str, Value], architecture: str) -> None:
        self._metadata = metadata
        self._architecture = architecture

    def get(self, name: str) -> Value | None:
        return self._metadata.get(f"{self._architecture}.{name}")

    def number(self, name: str) -> int | None:
        value = self.get(name)
        return value if isinstance(value, int) else None

    def by_layer(self, name: str, layers: int) -> list[int]:
        """Returns a number for each layer; an empty list if the file does not have the key."""
        value = self.get(name)
        if isinstance(value, list):
            return [number for number in value if isinstance(number, int)]
        return [value] * layers if isinstance(value, int) else []

    def width(self, suffix: str, default: int) -> int:
        """Returns the width of a key plus the width of a value."""
        names = ("attention.key_length", "attention.value_length")
        return sum(self.number(name + suffix) or self.number(name) or default for name in names)
