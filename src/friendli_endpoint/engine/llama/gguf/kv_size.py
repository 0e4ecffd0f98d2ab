"""The size of the key-value cache, by what a model file says of the model's layers."""

from collections.abc import Mapping

from friendli_endpoint.engine.llama.gguf.reading import Value

__all__ = ["kv_bytes_per_token"]

_MOST_LAYERS = 512
"""As many as llama.cpp loads."""


def kv_bytes_per_token(metadata: Mapping[str, Value], architecture: str) -> int | None:
    """Keys and values of 2 bytes each, of every head that keeps them, in every layer that does.

    Layers with a sliding window keep all positions, too: prefixes are gone on with from anywhere.

    Args:
        metadata: Of a GGUF file.
        architecture: As llama.cpp names it.

    Returns:
        Bytes, or None where the file does not say.
    """
    shape = _Shape(metadata, architecture)
    layers, embedding = shape.number("block_count"), shape.number("embedding_length")
    if embedding is None or layers is None or layers > _MOST_LAYERS:
        return None
    asking = shape.by_layer("attention.head_count", layers)
    if max(asking, default=0) < 1:
        return None
    keeping = shape.by_layer("attention.head_count_kv", layers) or asking
    widths = [shape.width(suffix, embedding // max(asking)) for suffix in ("", "_swa")]
    windows = shape.get("attention.sliding_window_pattern")
    # The last layers of some models look into the caches of others.
    own = range(layers - (shape.number("attention.shared_kv_layers") or 0))
    return 2 * sum(
        count * widths[bool(isinstance(windows, list) and windows[layer : layer + 1] == [True])]
        for layer, count in zip(own, keeping, strict=False)
    )


class _Shape:
    """What the metadata say of the layers."""

    def __init__(self, metadata: Mapping[str, Value], architecture: str) -> None:
        self._metadata = metadata
        self._architecture = architecture

    def get(self, name: str) -> Value | None:
        return self._metadata.get(f"{self._architecture}.{name}")

    def number(self, name: str) -> int | None:
        value = self.get(name)
        return value if isinstance(value, int) else None

    def by_layer(self, name: str, layers: int) -> list[int]:
        """A number for each layer; none where the file has no such key."""
        value = self.get(name)
        if isinstance(value, list):
            return [number for number in value if isinstance(number, int)]
        return [value] * layers if isinstance(value, int) else []

    def width(self, suffix: str, default: int) -> int:
        """Of a key and a value together."""
        names = [f"attention.{part}_length" for part in ("key", "value")]
        widths = [self.number(each + suffix) or self.number(each) or default for each in names]
        return sum(widths)
