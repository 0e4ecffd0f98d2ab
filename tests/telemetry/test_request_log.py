"""The access log: one line a request, in both formats, without messages unless enabled."""

import json
import logging
from typing import Any

import pytest

from friendli_endpoint.generation import EngineError, Started
from friendli_endpoint.telemetry.request_log import formatter_of
from tests.http.scripted import COMPLETIONS, Call, run, steps
from tests.telemetry.observed import ObservedApp

STARTED = Started(cached_tokens=1, queue_seconds=0.5, prefill_seconds=0.25)
DONE = steps("an answer", finish=True)
SECRET = "a secret of the user\nforged"
ASKED = [{"role": "user", "content": SECRET}]
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def logged(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    """Returns the only record of the access log."""
    (record,) = (r for r in caplog.records if r.name == "friendli_endpoint.http")
    return record


def as_json(record: logging.LogRecord) -> dict[str, Any]:
    line = formatter_of("json").format(record)
    assert len(line.splitlines()) == 1
    return dict(json.loads(line))


def test_the_json_line_has_numbers_and_ids(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        headers = [
            ("x-request-id", "mine"),
            ("x-friendli-team", "red"),
            ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),
        ]
        await observed.serve(observed.call(*headers, messages=ASKED), STARTED, steps("a"), DONE)

    run(scenario)
    line = as_json(logged(caplog))
    for name in ("time", "seconds", "first_token_seconds"):
        assert line.pop(name)
    assert line == {
        "level": "info",
        "logger": "friendli_endpoint.http",
        "method": "POST",
        "path": COMPLETIONS,
        "status": 200,
        "reason": "stop",
        "request_id": "mine",
        "completion_id": "chatcmpl-1",
        "trace_id": TRACE,
        "team": "red",
        "queue_seconds": 0.5,
        "prompt_tokens": 1,
        "cached_tokens": 1,
        "generated_tokens": 2,
    }


def test_the_pretty_line_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        observed = ObservedApp(telemetry_options={"log_prompts": True})
        await observed.serve(observed.call(("x-request-id", "mine"), messages=ASKED), DONE)

    run(scenario)
    line = formatter_of("pretty").format(logged(caplog))
    assert len(line.splitlines()) == 1
    words = line.partition(f"POST {COMPLETIONS} 200 ")[2].split()
    assert words[1:3] == ["s", "mine"]
    assert {"reason=stop", "generated_tokens=1", "completion_id=chatcmpl-1"} <= set(words)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("message", [DONE, EngineError("broken"), steps("BROKEN", finish=True)])
def test_user_text_is_in_no_metric_span_or_log_line(
    stream: bool, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        call = observed.call(
            stream=stream, messages=ASKED, model=SECRET, stop=[SECRET], user=SECRET
        )
        await observed.serve(call, STARTED, message)
        outputs = [observed.text, caplog.text, *(span.to_json() for span in observed.spans)]
        outputs += [json.dumps(as_json(record)) for record in caplog.records]
        assert len(observed.spans) == 4
        assert not any("a secret of the user" in output for output in outputs)

    run(scenario)


def test_messages_are_logged_with_log_prompts(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        observed = ObservedApp(telemetry_options={"log_prompts": True})
        await observed.serve(observed.call(messages=ASKED), DONE)
        assert SECRET not in observed.text

    run(scenario)
    assert as_json(logged(caplog))["messages"] == ASKED


def test_a_rejected_request_is_logged_with_its_code(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with ObservedApp().call(sent=SECRET.encode()) as call:
            await call.done()

    run(scenario)
    line = as_json(logged(caplog))
    assert (line["status"], line["reason"]) == (400, "invalid_json")
    assert "generated_tokens" not in line


def test_other_paths_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with Call(ObservedApp().app, "GET", "/a\r\nforged") as call:
            await call.done()

    run(scenario)
    line = as_json(logged(caplog))
    assert (line["path"], line["status"]) == ("/a%0D%0Aforged", 404)


def test_other_records_are_formatted_as_json() -> None:
    record = logging.LogRecord("name", logging.WARNING, "", 0, "%s\n\u2028", ("text",), None)
    line = as_json(record)
    assert line.pop("time")
    assert line == {"level": "warning", "logger": "name", "message": "text\n\u2028"}


def test_a_traceback_is_in_its_json_line() -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        cause = (type(error), error, error.__traceback__)
    record = logging.LogRecord("name", logging.ERROR, "", 0, "failed", (), cause)
    assert as_json(record)["exception"].endswith("ValueError: why")
