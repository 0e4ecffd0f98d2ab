"""The log: one line a request, for people or as JSON for programs."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from friendli_endpoint.telemetry.request_record import RequestRecord

__all__ = ["JsonFormatter", "fields_of", "formatter_of", "line_of"]

PRETTY = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def fields_of(record: RequestRecord, trace_id: str | None) -> dict[str, Any]:
    """What there is to say of a request that has ended, by name; seconds are rounded."""
    queue = record.started and record.started.queue_seconds
    first = record.first_token and record.first_token - record.begun
    said = {
        "method": record.method,
        "path": quote(record.path),  # or a path could write lines of its own
        "status": record.status,
        "seconds": round(record.seconds, 3),
        "request_id": record.request_id,
        "completion_id": record.completion_id,
        "trace_id": trace_id,
        "team": record.team or None,
        "reason": record.reason,
        "queue_seconds": queue and round(queue, 3),
        "first_token_seconds": first and round(first, 3),
        "prompt_tokens": record.prompt_tokens,
        "cached_tokens": record.started and record.started.cached_tokens,
        "generated_tokens": record.generated if record.submitted_at is not None else None,
        "messages": record.messages,
    }
    return {name: value for name, value in said.items() if value is not None}


def line_of(fields: dict[str, Any]) -> str:
    """The same for people, in one line."""
    method, path, status, seconds, request_id, *rest = fields.items()
    begin = f"{method[1]} {path[1]} {status[1]} {seconds[1]:.3f} s {request_id[1]}"
    return " ".join([begin, *(f"{name}={_word(value)}" for name, value in rest)])


def formatter_of(form: Literal["pretty", "json"]) -> logging.Formatter:
    """How the lines of a log are written."""
    return JsonFormatter() if form == "json" else logging.Formatter(PRETTY)


class JsonFormatter(logging.Formatter):
    """Writes each record as one JSON object; what a record has as `fields` becomes its keys."""

    def format(self, record: logging.LogRecord) -> str:
        """The object, in one line."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        fields: dict[str, Any] | None = getattr(record, "fields", None)
        said |= {"message": record.getMessage()} if fields is None else fields
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
