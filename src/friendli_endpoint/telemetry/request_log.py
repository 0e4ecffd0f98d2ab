"""The access log: one line a request, as text or as JSON."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from friendli_endpoint.telemetry.request_record import RequestRecord

__all__ = ["JsonFormatter", "fields_of", "formatter_of", "line_of"]

PRETTY = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def fields_of(record: RequestRecord, trace_id: str | None) -> dict[str, Any]:
    """Returns the log fields of a request that has ended; durations are rounded to 1 ms."""
    queue = record.started and record.started.queue_seconds
    first = record.first_token_at and record.first_token_at - record.begun_at
    fields = {
        "method": record.method,
        "path": quote(record.path),  # otherwise a path could forge log lines
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
        "generated_tokens": record.num_generated if record.submitted_at is not None else None,
        "messages": record.messages,
    }
    return {name: value for name, value in fields.items() if value is not None}


def line_of(fields: dict[str, Any]) -> str:
    """Returns the log fields of a request as one line of text."""
    method, path, status, seconds, request_id, *rest = fields.items()
    start = f"{method[1]} {path[1]} {status[1]} {seconds[1]:.3f} s {request_id[1]}"
    return " ".join([start, *(f"{name}={_format_value(value)}" for name, value in rest)])


def formatter_of(log_format: Literal["pretty", "json"]) -> logging.Formatter:
    """Returns the formatter of a log format."""
    return JsonFormatter() if log_format == "json" else logging.Formatter(PRETTY)


class JsonFormatter(logging.Formatter):
    """Formats each record as one JSON object; a record's `fields` replace its message."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the JSON object in one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        fields: dict[str, Any] | None = getattr(record, "fields", None)
        line |= {"message": record.getMessage()} if fields is None else fields
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _format_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
