"""Generates a command's flags from `Settings`, and reads the settings.

Errors name the source of an invalid value: a flag, an environment variable, or a key of a file.
"""

import inspect
import os
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError

from friendli_endpoint.cli.errors import exit_with_error
from friendli_endpoint.settings import Flag, Settings

__all__ = ["read_settings", "with_settings"]

PREFIX = Settings.model_config["env_prefix"]


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Adds a flag for every setting to a command, which receives their values in its `**flags`."""
    own = [
        parameter
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    flags = [
        _parameter(name, field)
        for name, field in Settings.model_fields.items()
        if not _flag_of(field).secret
    ]
    setattr(command, "__signature__", inspect.Signature(own + flags))  # noqa: B010
    return command


def read_settings(flags: Mapping[str, Any]) -> Settings:
    """Reads the settings from flags, environment and file; exits the command if one is invalid.

    Args:
        flags: Values of the command's flags by name; None and an empty list count as not given.
    """
    given = {name: value for name, value in flags.items() if value not in (None, [])}
    file = given.get("config") or os.environ.get(f"{PREFIX}CONFIG")
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            exit_with_error(f"{file}: unknown setting {key!r}{_suggestion(key)}")
        flag = _flag_of(Settings.model_fields[key])
        value = "" if flag.secret else f", got {first['input']!r}"
        exit_with_error(f"{_source(key, given, file)}: {first['msg'].lower()}{value}")
    except SettingsError as error:
        exit_with_error(f'{error}: a list is set in the environment as JSON, such as ["first"]')
    except FileNotFoundError:
        exit_with_error(f"the configuration file {file} does not exist")
    except OSError as error:
        exit_with_error(f"cannot read the configuration file {file}: {error.strerror or error}")
    except ValueError as error:  # not TOML, or not UTF-8
        exit_with_error(f"{file}: cannot be read as TOML: {error}")


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    flag = _flag_of(field)
    option = typer.Option(
        help=field.description,
        rich_help_panel=flag.panel,
        show_default=flag.default or _format_default(field.default),
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[_option_type(field.annotation), option],
    )


def _flag_of(field: FieldInfo) -> Flag:
    return next(metadata for metadata in field.metadata if isinstance(metadata, Flag))


def _format_default(default: object) -> str:
    return {True: "on", False: "off"}[default] if isinstance(default, bool) else str(default)


def _option_type(annotation: Any) -> Any:
    """Returns the type of a flag, for one value or a list; pydantic validates the values."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (member for member in get_args(annotation) if member is not NoneType)
    if get_origin(annotation) is tuple:
        return list[str] | None
    return (annotation if annotation in (bool, int, float, Path) else str) | None


def _source(key: str, given: Mapping[str, Any], file: Any) -> str:
    """Returns the source of a setting's value: flag, variable, or file and key."""
    if key in given:
        return "--" + key.replace("_", "-")
    variable = PREFIX + key.upper()
    if any(name.upper() == variable for name in os.environ):
        return variable
    return f"{file}: {key}"


def _suggestion(key: str) -> str:
    close = get_close_matches(key.replace("-", "_"), Settings.model_fields, 1)
    return f"; did you mean {close[0]!r}?" if close else ""
