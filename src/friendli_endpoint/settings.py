"""Settings of the endpoint: from flags, FRIENDLI_ENDPOINT_* variables, or a TOML file.

Each setting is defined here once: name, type, range, default, help text (its docstring) and panel
of `--help`. `cli/flags.py` makes the flags from that.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from friendli_endpoint.files import read_text

__all__ = ["Flag", "Settings"]


@dataclass(frozen=True, slots=True)
class Flag:
    """Presentation of a setting in `--help`.

    Attributes:
        panel: Panel of `--help`.
        default: Description of the default, if the default value itself does not tell.
        secret: Whether the setting has no flag, as other users can read command lines, and is never
            shown in errors.
    """

    panel: Literal["Model", "Capacity", "Answers", "Network", "Access", "Operation"]
    default: str | None = None
    secret: bool = False


_Seconds = Field(gt=0, allow_inf_nan=False)
_HostName = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/*\[\]]+)$")]
_RouteAndPath = Annotated[str, Field(pattern=r"^[\w.\-/]+=.+$")]


class Settings(BaseSettings):
    """Settings of the endpoint; an invalid value raises a pydantic `ValidationError`.

    Flags override environment variables, which override the file that `config` names.
    """

    model_config = SettingsConfigDict(
        env_prefix="FRIENDLI_ENDPOINT_", extra="forbid", use_attribute_docstrings=True
    )

    model: Annotated[Path | None, Flag("Model", "the embedded SmolLM2-135M")] = None
    """GGUF file to serve."""
    repack: Annotated[Literal["auto", "q8_0", "none"], Flag("Model")] = "auto"
    """Weight layout: `auto` (faster, same values), `q8_0` (requantized) or `none` (as stored)."""
    chat_template: Annotated[Path | None, Flag("Model", "the model's own")] = None
    """Jinja file with the chat template."""
    tool_family: Annotated[str | None, Flag("Model", "by the chat template")] = None
    """Format of tool calls."""
    adapter: Annotated[tuple[_RouteAndPath, ...], Flag("Model", "none")] = ()
    """LoRA adapter as ROUTE=PATH of a GGUF file, for `model: "ID:ROUTE"`; may be repeated."""
    adapter_dir: Annotated[Path | None, Flag("Model", "none")] = None
    """Folder that an administrator may load adapters from at runtime."""
    max_adapters: Annotated[int, Field(ge=0, le=1024), Flag("Model")] = 16
    """Maximum number of loaded adapters, those of --adapter included; up to 1024."""
    library: Annotated[Path | None, Flag("Model", "that of the package xllamacpp")] = None
    """llama.cpp library: its file, or a folder that contains it."""
    gpu_layers: Annotated[int, Field(ge=0, le=1 << 16), Flag("Model")] = 0
    """Number of layers that GPUs compute, if the library has a backend for them."""

    engines: Annotated[int, Field(ge=0, le=64), Flag("Capacity", "in this process")] = 0
    """Number of engines, each in a process of its own, which is replaced if it ends; up to 64."""
    max_engines: Annotated[
        int | None, Field(ge=1, le=64), Flag("Capacity", "that of --engines")
    ] = None
    """Maximum number of engines under load, with --ray; up to 64."""
    ray: Annotated[str | None, Field(min_length=1), Flag("Capacity", "none")] = None
    """Address of a Ray cluster that runs the engines, or `local` to start one on this machine."""
    ray_app: Annotated[str, Field(pattern=r"^[\w.\-]{1,64}$"), Flag("Capacity")] = (
        "friendli-engines"
    )
    """Name of the engines' application in the Ray cluster."""
    max_sequences: Annotated[int, Field(ge=1, le=256), Flag("Capacity")] = 16
    """Maximum number of sequences (choices) that an engine runs at the same time; at most 256."""
    context: Annotated[int, Field(ge=256), Flag("Capacity")] = 4096
    """Context length of each sequence in tokens, prompt and output together; at least 256."""
    threads: Annotated[int | None, Field(ge=1), Flag("Capacity", "one per processor")] = None
    """Maximum number of compute threads of an engine; fewer compute where more would not pay."""
    prefix_cache: Annotated[Path | None, Flag("Capacity", "none")] = None
    """Folder for prefilled prefixes of prompts, which outlive restarts; engines may share it."""
    prefix_cache_size: Annotated[int, Field(ge=1 << 20), Flag("Capacity")] = 10**10
    """Maximum size of the files in --prefix-cache in bytes; at least 1048576."""
    speculation: Annotated[bool, Flag("Capacity")] = True
    """Speculative decoding by prompt lookup for a choice that runs alone; changes no output."""
    max_choices: Annotated[int, Field(ge=1), Flag("Capacity")] = 128
    """Maximum number of choices (`n`) per request."""
    max_messages: Annotated[int, Field(ge=1), Flag("Capacity")] = 2048
    """Maximum number of messages per request."""
    max_queue: Annotated[int, Field(ge=1), Flag("Capacity")] = 1024
    """Maximum number of waiting requests; further ones get a 429 with retry-after."""
    max_queue_tokens: Annotated[int, Field(ge=1), Flag("Capacity")] = 1 << 20
    """Maximum number of prompt tokens of all waiting requests."""
    max_queue_bytes: Annotated[int, Field(ge=1), Flag("Capacity")] = 1 << 30
    """Maximum estimated memory of all waiting requests in bytes."""
    max_memory: Annotated[int | None, Field(ge=1), Flag("Capacity", "90 % of what is free")] = None
    """Memory of the process in bytes above which no more requests may wait."""

    workers: Annotated[int | None, Field(ge=0), Flag("Capacity", "one per processor, up to 4")] = (
        None
    )
    """Number of processes that validate and prepare requests; 0 for threads, without limits."""
    prepare_seconds: Annotated[float, _Seconds, Flag("Capacity")] = 5.0
    """Maximum CPU seconds of a worker process to prepare a request; above it, a 400."""

    parse_reasoning: Annotated[bool, Flag("Answers")] = True
    """Separate reasoning from content, unless the request sets `parse_reasoning`."""
    json_layout: Annotated[Literal["free", "line"], Flag("Answers")] = "free"
    """White space in structured JSON output: `free` (up to the model) or `line` (one line)."""

    host: Annotated[str, Flag("Network")] = "127.0.0.1"
    """IPv4 or IPv6 address, or a name, to listen on."""
    port: Annotated[int, Field(ge=0, le=65535), Flag("Network")] = 8000
    """TCP port to listen on, up to 65535; 0 for a free port."""
    endpoint_id: Annotated[tuple[str, ...], Flag("Network", "any")] = ()
    """Endpoint id that requests may name as their model; may be repeated."""
    max_body: Annotated[int, Field(ge=1024), Flag("Network")] = 4 * 1024 * 1024
    """Maximum size of a request body in bytes; at least 1024."""
    max_body_memory: Annotated[int, Field(ge=1024), Flag("Network")] = 256 * 1024 * 1024
    """Maximum bytes of all request bodies in memory (always one body); above it, a 503."""
    max_connections: Annotated[int, Field(ge=1), Flag("Network")] = 4096
    """Maximum number of open connections; further ones serve only /health and /live."""
    receive_seconds: Annotated[float, _Seconds, Flag("Network")] = 30.0
    """Maximum seconds for a TLS handshake, for a request's headers, and again for its body."""
    keep_alive_seconds: Annotated[int, Field(ge=1), Flag("Network")] = 75
    """Seconds for which an idle connection stays open for another request; at least 1."""
    stall_seconds: Annotated[float, _Seconds, Flag("Network")] = 30.0
    """Maximum seconds a client may leave a response unread before it is disconnected."""
    timeout: Annotated[float | None, _Seconds, Flag("Network", "none")] = None
    """Maximum seconds for a whole request; `x-request-timeout` may shorten it."""
    tls_cert: Annotated[Path | None, Flag("Network", "plain HTTP")] = None
    """PEM file with the TLS certificate chain."""
    tls_key: Annotated[Path | None, Flag("Network", "in the certificate's file")] = None
    """PEM file with the private key of the certificate."""

    tokens: Annotated[SecretStr | None, Flag("Access", secret=True)] = None
    """Valid bearer tokens, separated by commas or line breaks."""
    token_file: Annotated[Path | None, Flag("Access", "none")] = None
    """File with valid bearer tokens, one per line; reloaded when it changes."""
    admin_tokens: Annotated[SecretStr | None, Flag("Access", secret=True)] = None
    """Valid bearer tokens of administrators, separated by commas or line breaks."""
    admin_token_file: Annotated[Path | None, Flag("Access", "none")] = None
    """File with bearer tokens that may also load and remove adapters, one per line; reloaded."""
    auth: Annotated[bool, Flag("Access")] = True
    """Require bearer tokens if the endpoint can be reached from other machines."""
    open_metrics: Annotated[bool | None, Flag("Access", "only on a loopback address")] = None
    """Serve /metrics without a token."""
    allowed_host: Annotated[
        tuple[_HostName, ...], Flag("Access", "any; on a loopback address, only localhost")
    ] = ()
    """Host that requests may name besides localhost, without a port; may be repeated."""
    cors_origin: Annotated[tuple[str, ...], Flag("Access", "none")] = ()
    """Origin whose web pages may send requests, or * for any; may be repeated."""
    requests_per_minute: Annotated[int | None, Field(ge=1), Flag("Access", "no limit")] = None
    """Maximum requests per minute of each bearer token."""
    tokens_per_minute: Annotated[int | None, Field(ge=1), Flag("Access", "no limit")] = None
    """Maximum prompt and generated tokens per minute of each bearer token."""

    config: Annotated[Path | None, Flag("Operation", "none")] = None
    """TOML file with settings, such as `max_sequences = 4`."""
    drain_seconds: Annotated[int, Field(ge=0), Flag("Operation")] = 5
    """Maximum seconds for running requests to finish at shutdown."""
    step_seconds: Annotated[float, _Seconds, Flag("Operation")] = 30.0
    """Seconds without an engine step after which /health fails; /live after ten times that."""
    metrics: Annotated[bool, Flag("Operation")] = True
    """Serve Prometheus metrics at /metrics."""
    team_limit: Annotated[int, Field(ge=0, le=10_000), Flag("Operation")] = 50
    """Maximum number of `x-friendli-team` values with their own metrics, up to 10000."""
    log_format: Annotated[Literal["pretty", "json"], Flag("Operation")] = "pretty"
    """Format of the log, which has one line per request: `pretty` (text) or `json`."""
    log_prompts: Annotated[bool, Flag("Operation")] = False
    """Include the messages of requests in the log."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Flag("Operation")] = "info"
    """Minimum level of the log: `debug` (with llama.cpp's own log), `info`, `warning`, `error`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Adds the TOML file that a flag or the environment names, with the lowest priority."""
        sources = (init_settings, env_settings)
        file = init_settings().get("config") or env_settings().get("config")
        return (*sources, InitSettingsSource(settings_cls, _read_toml(file))) if file else sources


def _read_toml(file: str | Path) -> dict[str, Any]:
    """Returns the settings of a TOML file.

    Raises:
        OSError: The file cannot be read, or is not a regular file of up to 16 MiB.
        ValueError: The file is not TOML in UTF-8.
    """
    try:
        return tomllib.loads(read_text(Path(file).expanduser()))
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error
