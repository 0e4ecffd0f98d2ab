"""Makes a command's flags from `Settings`, and settings from what was given; it knows no setting.

What cannot be is refused by the place where it was written: a flag, a variable, a key of a file.
"""

import inspect
import os
import tomllib
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
    """Gives a command a flag for every setting; what was given comes in its `**flags`."""
    own = [
        parameter
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    flags = [
        _flag(name, field)
        for name, field in Settings.model_fields.items()
        if not _shown(field).secret
    ]
    setattr(command, "__signature__", inspect.Signature(own + flags))  # noqa: B010
    return command


def read_settings(flags: Mapping[str, Any]) -> Settings:
    """Settings by flag, environment and file; ends the command where one cannot be.

    Args:
        flags: By name, as the command got them; None and an empty list count as not given.
    """
    given = {name: value for name, value in flags.items() if value not in (None, [])}
    file = given.get("config") or os.environ.get(f"{PREFIX}CONFIG")
    if file and not Path(file).is_file():
        exit_with_error(f"the configuration {file} is not there")
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            exit_with_error(f"{file}: there is no setting {key!r}{_suggestion(key)}")
        known = _shown(Settings.model_fields[key])
        written = "" if known.secret else f", not {first['input']!r}"
        exit_with_error(f"{_place(key, given, file)}: {first['msg'].lower()}{written}")
    except SettingsError as error:
        exit_with_error(f'{error}: a list is set in the environment as JSON, such as ["first"]')
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        exit_with_error(f"{file}: cannot be read as TOML: {error}")


def _flag(name: str, field: FieldInfo) -> inspect.Parameter:
    shown = _shown(field)
    option = typer.Option(
        help=field.description,
        rich_help_panel=shown.panel,
        show_default=shown.default or _words(field.default),
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[_on_the_command_line(field.annotation), option],
    )


def _shown(field: FieldInfo) -> Flag:
    return next(each for each in field.metadata if isinstance(each, Flag))


def _words(default: object) -> str:
    return {True: "on", False: "off"}[default] if isinstance(default, bool) else str(default)


def _on_the_command_line(annotation: Any) -> Any:
    """The type that a flag takes: one value, or several; pydantic does the checking."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (each for each in get_args(annotation) if each is not NoneType)
    if get_origin(annotation) is tuple:
        return list[str] | None
    return (annotation if annotation in (bool, int, float, Path) else str) | None


def _place(key: str, given: Mapping[str, Any], file: Any) -> str:
    """Where the value of a setting was written."""
    if key in given:
        return "--" + key.replace("_", "-")
    variable = PREFIX + key.upper()
    if any(name.upper() == variable for name in os.environ):
        return variable
    return f"{file}: {key}"


def _suggestion(key: str) -> str:
    close = get_close_matches(key.replace("-", "_"), Settings.model_fields, 1)
    return f"; did you mean {close[0]!r}?" if close else ""
