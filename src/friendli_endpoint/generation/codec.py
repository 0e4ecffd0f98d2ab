"""Codec between the data of the contract and msgpack.

Usage:

    CODEC: Codec[GenerationRequest] = Codec(GenerationRequest)
    data = CODEC.encode(request)
    assert CODEC.decode(data) == request  # CodecError for anything that is not a request

A record (a dataclass, or an exception whose arguments are its attributes) is an array of its
fields, without names. Fields at the end are left out while they are None, False or empty tuples by
default. A member of a union of records is preceded by its number. So both sides must have the same
types: compare `Codec.fingerprint`.

Only data is decoded, and each value has the declared type. Nothing is allocated for elements that
are not in the data.
"""

import dataclasses
import hashlib
import inspect
import types
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Generic, Literal, NoReturn, TypeVar, Union, get_args, get_origin

import msgpack  # type: ignore[import-untyped]

__all__ = ["Codec", "CodecError"]

T = TypeVar("T")
Convert = Callable[[Any], Any]

_UNICODE_ERRORS = "surrogatepass"  # JSON may contain lone surrogates, and so may stop strings


class CodecError(ValueError):
    """Error of data that is not the encoding of a value, or of a value that cannot be encoded."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Form:
    """Encoding of one type.

    Attributes:
        name: Description of the type and of all types in it; equal for equal encodings.
        encode: Converts a value to what msgpack takes; None if it takes the value itself.
        decode: Checks and converts what msgpack returns; raises `CodecError`.
        exact: Types whose values need neither check nor conversion when they are decoded.
    """

    name: str
    encode: Convert | None
    decode: Convert
    exact: frozenset[type] = frozenset()


class Codec(Generic[T]):
    """Codec of one type.

    Args:
        declared: A record, a scalar type, `Any` for JSON, or a literal, tuple, mapping or union of
            them.

    Attributes:
        fingerprint: Digest of the form, 8 bytes; equal for equal types.

    Raises:
        TypeError: The type has no encoding.
    """

    def __init__(self, declared: Any) -> None:
        form = _form_of(declared)
        self._encode = form.encode or _same
        self._decode = form.decode
        self.fingerprint = hashlib.blake2b(form.name.encode(), digest_size=8).digest()

    def encode(self, value: T) -> bytes:
        """Returns the encoding of a value.

        Raises:
            CodecError: An integer of the value has more than 64 bits, or JSON is nested too deeply.
        """
        try:
            return bytes(msgpack.packb(self._encode(value), unicode_errors=_UNICODE_ERRORS))
        except OverflowError as error:
            raise CodecError("an integer has more than 64 bits") from error
        except ValueError as error:
            raise CodecError(str(error)) from error

    def decode(self, data: bytes) -> T:
        """Returns the value of an encoding.

        Raises:
            CodecError: The data is not an encoding of this type.
        """
        try:
            value: T = self._decode(_unpack(data))
        except RecursionError:
            raise CodecError("JSON is nested too deeply") from None
        return value


def _unpack(data: bytes) -> Any:
    """Unpacks one msgpack object.

    It is skipped first, which allocates nothing: an array's header may announce more elements than
    there are, and each level of nesting may do so.
    """
    try:
        unpacker = msgpack.Unpacker(max_buffer_size=max(len(data), 1))
        unpacker.feed(data)
        unpacker.skip()
        if unpacker.tell() != len(data):
            raise CodecError(f"{len(data) - unpacker.tell()} bytes follow the value")
        return msgpack.unpackb(data, strict_map_key=False, unicode_errors=_UNICODE_ERRORS)
    except CodecError:
        raise
    except (msgpack.UnpackException, ValueError, TypeError, RecursionError) as error:
        reason = "it is cut off" if isinstance(error, msgpack.OutOfData) else str(error)
        raise CodecError(f"the data is not msgpack: {reason or type(error).__name__}") from error


def _same(value: Any) -> Any:
    return value


def _fail(expected: str, value: Any) -> NoReturn:
    raise CodecError(f"expected {expected}, got {type(value).__name__}")


def _scalar(name: str, expected: str, exact: type) -> _Form:
    def decode(value: Any) -> Any:
        return value if type(value) is exact else _fail(expected, value)

    return _Form(name, None, decode, frozenset({exact}))


def _decode_float(value: Any) -> float:
    if type(value) is float:
        return value
    return float(value) if type(value) is int else _fail("a number", value)


def _decode_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode_json(element) for element in value]
    if isinstance(value, dict):
        return {
            key if type(key) is str else _fail("a name", key): _decode_json(element)
            for key, element in value.items()
        }
    return value if type(value) in (str, int, float, bool, type(None)) else _fail("JSON", value)


_SCALARS: Mapping[Any, _Form] = {
    int: _scalar("int", "an integer", int),
    str: _scalar("str", "a string", str),
    bytes: _scalar("bytes", "bytes", bytes),
    bool: _scalar("bool", "a boolean", bool),
    type(None): _scalar("none", "nothing", type(None)),
    float: _Form("float", None, _decode_float, frozenset({float})),
    Any: _Form("json", None, _decode_json),
}


def _form_of(declared: Any) -> _Form:
    scalar = _SCALARS.get(declared)
    if scalar is not None:
        return scalar
    origin, arguments = get_origin(declared), get_args(declared)
    if origin is Literal:
        return _literal_form(arguments)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _tuple_form(_form_of(arguments[0]))
    if origin in (dict, Mapping):
        return _mapping_form(_form_of(arguments[0]), _form_of(arguments[1]))
    if origin in (Union, types.UnionType):
        return _union_form(arguments)
    if _is_record(declared):
        return _record_form(declared)
    raise TypeError(f"{declared} has no encoding")


def _literal_form(values: tuple[Any, ...]) -> _Form:
    def decode(value: Any) -> Any:
        if type(value) is str and value in values:
            return value
        raise CodecError(f"expected one of {', '.join(map(repr, values))}")

    return _Form(f"literal{values}", None, decode)


def _tuple_form(element: _Form) -> _Form:
    encode, decode_element = element.encode, element.decode
    exact = element.exact

    def encode_all(values: tuple[Any, ...]) -> Any:
        return tuple(map(encode, values)) if encode is not None else values

    def decode(values: Any) -> tuple[Any, ...]:
        if type(values) is not list:
            _fail("an array", values)
        if exact and exact.issuperset(map(type, values)):  # prompts are long
            return tuple(values)
        return tuple(map(decode_element, values))

    return _Form(f"tuple[{element.name}]", None if encode is None else encode_all, decode)


def _mapping_form(key: _Form, value: _Form) -> _Form:
    if key.encode is not None or value.encode is not None:
        raise TypeError("a mapping of records has no encoding")

    def decode(values: Any) -> dict[Any, Any]:
        if type(values) is not dict:
            _fail("a map", values)
        return {key.decode(name): value.decode(item) for name, item in values.items()}

    return _Form(f"map[{key.name}, {value.name}]", dict, decode)


def _union_form(members: tuple[Any, ...]) -> _Form:
    optional = type(None) in members
    others = tuple(member for member in members if member is not type(None))
    if len(others) == 1:
        form = _form_of(others[0])
    elif all(map(_is_record, others)):
        form = _tagged_form(others)
    else:
        raise TypeError(f"a union of {members} has no encoding")
    return _optional_form(form) if optional else form


def _optional_form(form: _Form) -> _Form:
    encode, decode = form.encode, form.decode
    return _Form(
        f"optional[{form.name}]",
        None if encode is None else lambda value: None if value is None else encode(value),
        lambda value: None if value is None else decode(value),
        form.exact | {type(None)},
    )


def _tagged_form(members: tuple[type[Any], ...]) -> _Form:
    forms = [_record_form(member) for member in members]
    numbers = {member: number for number, member in enumerate(members)}
    encoders, decoders = [form.encode or _same for form in forms], [form.decode for form in forms]
    num_members = len(members)

    def encode(value: Any) -> Any:
        number = numbers[type(value)]
        return (number, *encoders[number](value))

    def decode(values: Any) -> Any:
        number = values[0] if type(values) is list and values else None
        if type(number) is not int or not 0 <= number < num_members:
            raise CodecError(f"expected one of {', '.join(form.__name__ for form in members)}")
        del values[0]
        return decoders[number](values)

    return _Form(f"union[{', '.join(form.name for form in forms)}]", encode, decode)


def _is_record(declared: Any) -> bool:
    return isinstance(declared, type) and (
        dataclasses.is_dataclass(declared) or issubclass(declared, Exception)
    )


def _record_form(record: type[Any]) -> _Form:
    parameters = list(inspect.signature(record, eval_str=True).parameters.values())
    names = [parameter.name for parameter in parameters]
    forms = [_form_of(parameter.annotation) for parameter in parameters]
    num_positional = sum(parameter.kind is not parameter.KEYWORD_ONLY for parameter in parameters)
    keywords = names[num_positional:]
    fields = attrgetter(*names) if len(names) > 1 else None
    converted = [(index, form.encode) for index, form in enumerate(forms) if form.encode]
    known: dict[tuple[type, ...], list[tuple[int, Convert]]] = {}
    omissible = [parameter.default for parameter in parameters]
    min_count = len(names)
    while min_count and any(omissible[min_count - 1] is value for value in (None, False, ())):
        min_count -= 1

    def encode(value: Any) -> Any:
        values = list(fields(value) if fields else (getattr(value, name) for name in names))
        for index, convert in converted:
            values[index] = convert(values[index])
        while len(values) > min_count and values[-1] is omissible[len(values) - 1]:
            values.pop()
        return values

    def construct(values: list[Any]) -> Any:
        named = dict(zip(keywords, values[num_positional:], strict=False))
        return record(*values[:num_positional], **named)

    def decode(values: Any) -> Any:
        if type(values) is not list:
            raise CodecError(f"expected the fields of {record.__name__}")
        shape = tuple(map(type, values))
        conversions = known.get(shape)
        is_new = conversions is None
        if conversions is None:
            if not min_count <= len(shape) <= len(names):
                raise CodecError(f"expected the fields of {record.__name__}")
            conversions = [
                (index, form.decode)
                for index, (form, found) in enumerate(zip(forms, shape, strict=False))
                if found not in form.exact
            ]
        if conversions:
            index = 0
            try:
                for index, convert in conversions:
                    values[index] = convert(values[index])
            except CodecError as error:
                raise CodecError(f"{record.__name__}.{names[index]}: {error}") from None
        if is_new:
            known[shape] = conversions  # only of valid records, which have few shapes
        return construct(values) if keywords else record(*values)

    described = ", ".join(f"{name}: {form.name}" for name, form in zip(names, forms, strict=True))
    return _Form(f"{record.__name__}({described})", encode, decode)
