"""What the operator sets: by flag, or by FRIENDLI_ENDPOINT_* in the environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Settings"]


class Settings(BaseSettings):
    """Settings of `friendli-endpoint serve`; an invalid one raises a pydantic `ValidationError`.

    Attributes:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        model: GGUF file; by default the embedded model.
        chat_template: Jinja file to use instead of the model's own chat template.
        endpoint_id: Ids to answer to; with none, any.
        max_sequences: Choices that run at the same time.
        context: Tokens, prompt and output together, that each can hold.
        threads: Threads that compute; by default one for each processor.
        max_choices: Most choices (`n`) of one request.
        tool_family: The form of tool calls; by default the chat template's.
        parse_reasoning: Whether reasoning is given apart from the answer, unless a request says.
        max_body: Most bytes of a request body.
        drain_seconds: How long running requests may go on after a signal to stop.
    """

    model_config = SettingsConfigDict(env_prefix="FRIENDLI_ENDPOINT_", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    model: Path | None = None
    chat_template: Path | None = None
    endpoint_id: tuple[str, ...] = ()
    max_sequences: int = Field(default=16, ge=1, le=256)
    context: int = Field(default=4096, ge=256)
    threads: int | None = Field(default=None, ge=1)
    max_choices: int = Field(default=128, ge=1)
    tool_family: str | None = None
    parse_reasoning: bool = True
    max_body: int = Field(default=4 * 1024 * 1024, ge=1024)
    drain_seconds: int = Field(default=5, ge=0)
