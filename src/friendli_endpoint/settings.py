"""What the operator sets: by flag, by FRIENDLI_ENDPOINT_* in the environment, or in a TOML file.

A setting is said here once: its name, type, bounds and default, its help text below it, and the
panel of `--help` that shows it. `cli/flags.py` makes the flags from that.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

__all__ = ["Flag", "Settings"]


@dataclass(frozen=True, slots=True)
class Flag:
    """How `--help` shows a setting.

    Attributes:
        panel: The group it is shown in.
        default: What happens without it, where the default value does not say.
        secret: Whether it is kept from the command line, which others can read, and from errors.
    """

    panel: Literal["Model", "Capacity", "Answers", "Network", "Access", "Operation"]
    default: str | None = None
    secret: bool = False


_Seconds = Field(gt=0, allow_inf_nan=False)
_RouteAndPath = Annotated[str, Field(pattern=r"^[\w.\-/]+=.+$")]


class Settings(BaseSettings):
    """Settings of the endpoint; an invalid one raises a pydantic `ValidationError`.

    A flag goes before the environment, and the environment before the file that `config` names.
    """

    model_config = SettingsConfigDict(
        env_prefix="FRIENDLI_ENDPOINT_", extra="forbid", use_attribute_docstrings=True
    )

    model: Annotated[Path | None, Flag("Model", "the embedded SmolLM2-135M")] = None
    """GGUF file to serve."""
    repack: Annotated[Literal["auto", "q8_0", "none"], Flag("Model")] = "auto"
    """How weights are laid out: for speed without a change, as Q8_0, or as the file has them."""
    chat_template: Annotated[Path | None, Flag("Model", "the model's own")] = None
    """Jinja file with the chat template."""
    tool_family: Annotated[str | None, Flag("Model", "by the chat template")] = None
    """Form of tool calls."""
    adapter: Annotated[tuple[_RouteAndPath, ...], Flag("Model", "none")] = ()
    """LoRA to serve as `model: "ID:ROUTE"`, as ROUTE=PATH of a GGUF file; may be repeated."""
    adapter_dir: Annotated[Path | None, Flag("Model", "none")] = None
    """Folder that clients may load adapters from while serving."""

    max_sequences: Annotated[int, Field(ge=1, le=256), Flag("Capacity")] = 16
    """Choices that run at the same time."""
    context: Annotated[int, Field(ge=256), Flag("Capacity")] = 4096
    """Tokens, prompt and output together, that each can hold."""
    threads: Annotated[int | None, Field(ge=1), Flag("Capacity", "one a processor")] = None
    """Threads that compute."""
    speculation: Annotated[bool, Flag("Capacity")] = True
    """Whether a choice that runs alone is drafted from what it repeats; changes no answer."""
    max_choices: Annotated[int, Field(ge=1), Flag("Capacity")] = 128
    """Most choices (`n`) of one request."""
    max_messages: Annotated[int, Field(ge=1), Flag("Capacity")] = 2048
    """Most messages of one request."""
    max_queue: Annotated[int, Field(ge=1), Flag("Capacity")] = 1024
    """Most requests that may wait; more are told when to come again."""
    max_queue_tokens: Annotated[int, Field(ge=1), Flag("Capacity")] = 1 << 20
    """Most prompt tokens that may wait, all together."""
    max_queue_bytes: Annotated[int, Field(ge=1), Flag("Capacity")] = 1 << 30
    """Estimated bytes of memory that waiting requests may take, all together."""
    max_memory: Annotated[int | None, Field(ge=1), Flag("Capacity", "90 % of what is free")] = None
    """Bytes of memory of the process from which on no more requests may wait."""

    parse_reasoning: Annotated[bool, Flag("Answers")] = True
    """Whether reasoning is given apart from the answer, unless a request says."""
    json_layout: Annotated[Literal["free", "line"], Flag("Answers")] = "free"
    """White space of JSON that a format asks for: the model's, or that of one line."""

    host: Annotated[str, Flag("Network")] = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535), Flag("Network")] = 8000
    """TCP port; 0 takes a free one."""
    endpoint_id: Annotated[tuple[str, ...], Flag("Network", "any")] = ()
    """Endpoint id to answer to; may be repeated."""
    max_body: Annotated[int, Field(ge=1024), Flag("Network")] = 4 * 1024 * 1024
    """Most bytes of a request body."""
    max_body_memory: Annotated[int, Field(ge=1024), Flag("Network")] = 256 * 1024 * 1024
    """Bytes of request bodies that may be held at once, at least one body; more get a 503."""
    max_connections: Annotated[int, Field(ge=1), Flag("Network")] = 4096
    """Connections that may be open at once; on more, only /health and /live are answered."""
    receive_seconds: Annotated[float, _Seconds, Flag("Network")] = 30.0
    """How long the headers of a request may take to arrive, and then its body."""
    stall_seconds: Annotated[float, _Seconds, Flag("Network")] = 30.0
    """How long a client may leave an answer unread before it is dropped."""
    timeout: Annotated[float | None, _Seconds, Flag("Network", "none")] = None
    """Seconds that a request may take as a whole; `x-request-timeout` may ask for less."""
    tls_cert: Annotated[Path | None, Flag("Network", "plain HTTP")] = None
    """PEM file with the certificate, and those that lead to its root."""
    tls_key: Annotated[Path | None, Flag("Network", "in the certificate's file")] = None
    """PEM file with the certificate's key."""

    tokens: Annotated[SecretStr | None, Flag("Access", secret=True)] = None
    """Bearer tokens that are let in, with commas or line ends between them."""
    token_file: Annotated[Path | None, Flag("Access", "none")] = None
    """File with bearer tokens that are let in, one a line; read again when it changes."""
    auth: Annotated[bool, Flag("Access")] = True
    """Whether an address that others can reach is only served to those with a token."""
    open_metrics: Annotated[bool | None, Flag("Access", "where only this machine calls")] = None
    """Whether /metrics needs no token."""
    cors_origin: Annotated[tuple[str, ...], Flag("Access", "none")] = ()
    """Origin whose web pages may call, or * for any; may be repeated."""
    requests_per_minute: Annotated[int | None, Field(ge=1), Flag("Access", "any number")] = None
    """Requests that each token may make a minute."""
    tokens_per_minute: Annotated[int | None, Field(ge=1), Flag("Access", "any number")] = None
    """Tokens of prompts and answers that each bearer token may use a minute."""

    config: Annotated[Path | None, Flag("Operation", "none")] = None
    """TOML file with settings, such as `max_sequences = 4`."""
    drain_seconds: Annotated[int, Field(ge=0), Flag("Operation")] = 5
    """How long running requests may go on after Ctrl-C."""
    step_seconds: Annotated[float, _Seconds, Flag("Operation")] = 30.0
    """How long a step of the engine may take before /health is 503; for /live ten times that."""
    metrics: Annotated[bool, Flag("Operation")] = True
    """Whether there is a page of metrics for Prometheus, /metrics."""
    team_limit: Annotated[int, Field(ge=0, le=10_000), Flag("Operation")] = 50
    """Most values of the header x-friendli-team that metrics tell apart; the rest are one."""
    log_format: Annotated[Literal["pretty", "json"], Flag("Operation")] = "pretty"
    """Form of the log, which has one line a request."""
    log_prompts: Annotated[bool, Flag("Operation")] = False
    """Whether that line has what users wrote."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Flag("Operation")] = "info"
    """What is logged; debug shows llama.cpp's own log."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Adds the TOML file, which a flag or the environment names."""
        sources = (init_settings, env_settings)
        file = init_settings().get("config") or env_settings().get("config")
        return (*sources, TomlConfigSettingsSource(settings_cls, file)) if file else sources
