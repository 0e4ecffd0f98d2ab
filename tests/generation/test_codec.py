"""Codecs: every value of a type survives, and nothing else is decoded."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.generation import EngineError, GenerationRequest, RequestError
from friendli_endpoint.generation.codec import Codec, CodecError
from tests.generation.strategies import engine_errors, request_errors, requests

REQUESTS: Codec[GenerationRequest] = Codec(GenerationRequest)
ERRORS: Codec[RequestError | EngineError] = Codec(RequestError | EngineError)


@dataclass(frozen=True)
class Leaf:
    """Record with one field of each scalar type."""

    whole: int
    real: float
    text: str
    data: bytes
    flag: bool
    kind: Literal["a", "b"]
    last: int | None = None


@dataclass(frozen=True)
class Tree:
    """Record of records."""

    leaves: tuple[Leaf, ...]
    numbers: dict[int, float]
    document: dict[str, Any]
    child: "Leaf | None" = None
    names: tuple[str, ...] = ()


TREES: Codec[Tree] = Codec(Tree)
LEAF = Leaf(1, 0.5, "t", b"d", True, "a")
LEAF_FIELDS: list[Any] = [1, 0.5, "t", b"d", True, "a"]


def packed(value: Any) -> bytes:
    return bytes(msgpack.packb(value))


@given(requests())
def test_decode_of_encode_is_the_same_request(request: GenerationRequest) -> None:
    assert REQUESTS.decode(REQUESTS.encode(request)) == request


@given(request_errors() | engine_errors())
def test_an_error_keeps_its_type_and_every_attribute(error: RequestError | EngineError) -> None:
    received = ERRORS.decode(ERRORS.encode(error))
    assert type(received) is type(error)
    assert (vars(received), received.args) == (vars(error), error.args)


@pytest.mark.parametrize("child", [None, LEAF, Leaf(2, 1.0, "", b"", False, "b", 3)])
@pytest.mark.parametrize("names", [(), ("a", "")])
def test_records_in_records_survive(child: Leaf | None, names: tuple[str, ...]) -> None:
    tree = Tree((LEAF, LEAF), {3: float("inf")}, {"a": [1, None, {"b": True}]}, child, names)
    assert TREES.decode(TREES.encode(tree)) == tree


def test_fields_at_the_end_are_left_out_while_they_have_empty_defaults() -> None:
    tree = Tree((), {}, {})
    assert TREES.encode(tree) == packed([[], {}, {}])
    assert TREES.decode(packed([[], {}, {}, None, []])) == tree


@pytest.mark.parametrize(
    ("index", "value", "expected"),
    [
        (0, 1.0, "Leaf.whole: expected an integer, got float"),
        (0, True, "Leaf.whole: expected an integer, got bool"),
        (1, "1", "Leaf.real: expected a number, got str"),
        (1, False, "Leaf.real: expected a number, got bool"),
        (2, b"t", "Leaf.text: expected a string, got bytes"),
        (3, "d", "Leaf.data: expected bytes, got str"),
        (4, 1, "Leaf.flag: expected a boolean, got int"),
        (5, "c", "Leaf.kind: expected one of 'a', 'b'"),
        (5, [], "Leaf.kind: expected one of"),
        (3, msgpack.ExtType(5, b"d"), "Leaf.data: expected bytes, got ExtType"),
        (2, msgpack.Timestamp(5), "Leaf.text: expected a string, got Timestamp"),
    ],
)
def test_a_value_of_another_type_is_an_error_that_names_the_field(
    index: int, value: Any, expected: str
) -> None:
    fields = [*LEAF_FIELDS]
    fields[index] = value
    with pytest.raises(CodecError) as caught:
        Codec[Leaf](Leaf).decode(packed(fields))
    assert expected in str(caught.value)


def test_a_record_of_the_same_shape_as_one_before_is_checked_like_it() -> None:
    leaves: Codec[Leaf] = Codec(Leaf)
    assert leaves.decode(packed(LEAF_FIELDS)) == LEAF
    assert leaves.decode(packed([1, 2, *LEAF_FIELDS[2:]])) == Leaf(1, 2.0, "t", b"d", True, "a")
    with pytest.raises(CodecError, match=r"Leaf\.kind: expected one of 'a', 'b'"):
        leaves.decode(packed([*LEAF_FIELDS[:5], "c"]))
    with pytest.raises(CodecError, match="expected the fields of Leaf"):
        leaves.decode(packed(LEAF_FIELDS[:5]))


@pytest.mark.parametrize(
    "value",
    [
        [[LEAF_FIELDS], {"a": 1.0}, {}],
        [[LEAF_FIELDS[:-1]], {}, {}],
        [[[*LEAF_FIELDS, 3, 4]], {}, {}],
        [[LEAF_FIELDS], {}, {1: 2}],
        [[LEAF_FIELDS], {}, {"a": b"bytes"}],
        [[LEAF_FIELDS], {}, {"a": msgpack.Timestamp(1)}],
        [{}, {}, {}],
        [[LEAF_FIELDS], [], {}],
        [],
        None,
        7,
    ],
)
def test_a_value_of_another_form_is_an_error(value: Any) -> None:
    with pytest.raises(CodecError):
        TREES.decode(packed(value))


@pytest.mark.parametrize("value", [[], [2, "m"], [-1, "m"], ["0", "m"], [True, "m"], {}, None])
def test_a_member_of_a_union_must_be_known(value: Any) -> None:
    with pytest.raises(CodecError, match="expected one of RequestError, EngineError"):
        ERRORS.decode(packed(value))


@given(requests(), st.data())
def test_a_cut_encoding_is_an_error(request: GenerationRequest, data: st.DataObject) -> None:
    encoding = REQUESTS.encode(request)
    with pytest.raises(CodecError, match="it is cut off"):
        REQUESTS.decode(encoding[: data.draw(st.integers(0, len(encoding) - 1))])
    with pytest.raises(CodecError, match="bytes follow the value"):
        REQUESTS.decode(encoding + data.draw(st.binary(min_size=1)))


@given(requests(), st.data())
def test_a_damaged_encoding_is_an_error_or_a_request(
    request: GenerationRequest, data: st.DataObject
) -> None:
    encoding = bytearray(REQUESTS.encode(request))
    encoding[data.draw(st.integers(0, len(encoding) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(REQUESTS.decode(bytes(encoding)), GenerationRequest)
    except CodecError:
        pass


@given(st.binary(max_size=200))
def test_garbage_is_an_error(data: bytes) -> None:
    with pytest.raises(CodecError):
        REQUESTS.decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        (b"\xdd" + (2**20).to_bytes(4, "big")) * 900 + bytes(2**20),
        b"\x91" * 100_000 + b"\xc0",
    ],
    ids=["array", "map", "bytes", "nested arrays", "deep nesting"],
)
def test_a_header_that_announces_too_much_allocates_nothing(
    data: bytes, peak_of: Callable[[Callable[[], Any]], int]
) -> None:
    def decode() -> None:
        with pytest.raises(CodecError):
            REQUESTS.decode(data)

    assert peak_of(decode) < 3 * len(data) + (1 << 20)


def test_an_integer_of_more_than_64_bits_is_an_error() -> None:
    with pytest.raises(CodecError, match="more than 64 bits"):
        Codec[Leaf](Leaf).encode(Leaf(2**64, 0.0, "", b"", False, "a"))


def test_json_that_is_nested_too_deeply_is_an_error() -> None:
    document: dict[str, Any] = {}
    for _ in range(5000):
        document = {"a": document}
    with pytest.raises(CodecError, match="recursion limit"):
        TREES.encode(Tree((), {}, document))
    for depth in (1000, 5000):  # Python's limit, and that of msgpack
        with pytest.raises(CodecError):
            TREES.decode(b"\x93\x90\x80" + b"\x81\xa1a" * depth + b"\x80")


@pytest.mark.parametrize(
    "declared", [set[int], object, int | str, dict[str, Leaf], tuple[int, str], list[int]]
)
def test_a_type_without_an_encoding_is_an_error(declared: Any) -> None:
    with pytest.raises(TypeError):
        Codec[Any](declared)


def test_fingerprints_are_equal_for_equal_types_only() -> None:
    forms: list[Any] = [Leaf, Tree, Leaf | Tree, Tree | Leaf, Leaf | None, GenerationRequest, int]
    fingerprints = {Codec[Any](form).fingerprint for form in forms}
    assert len(fingerprints) == len(forms)
    assert Codec[Any](Tree).fingerprint in fingerprints
