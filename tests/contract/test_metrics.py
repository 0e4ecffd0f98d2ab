"""Metrics of the real endpoint agree with the usage of its answers."""

from prometheus_client.parser import text_string_to_metric_families

from .conftest import Endpoint, chat_body

TEAM = "seen"
CONSTRAINED = {"type": "regex", "schema": "(seen|unseen){1,3}"}


def series(endpoint: Endpoint) -> dict[str, float]:
    """Returns the samples of this team and those without labels, by name."""
    page = endpoint.send("/metrics", None, "GET").body.decode()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.labels in ({}, {"team": TEAM})
    }


def test_metrics_count_tokens_and_times_of_a_request(endpoint: Endpoint) -> None:
    before = series(endpoint)
    body = chat_body(response_format=CONSTRAINED, max_tokens=5)
    answer = endpoint.post(body, {"x-friendli-team": TEAM}).json()
    after = series(endpoint)
    usage = answer["usage"]
    assert after["friendli_prompt_tokens_total"] == usage["prompt_tokens"]
    assert after["friendli_generated_tokens_total"] == usage["completion_tokens"]
    assert (
        after["friendli_cached_prompt_tokens_total"]
        == (usage["prompt_tokens_details"]["cached_tokens"])
    )
    moved = {name for name, value in after.items() if value > before.get(name, 0)}
    assert {
        "friendli_step_seconds_count",
        "friendli_constraint_compile_seconds_count",
        "friendli_time_to_first_token_seconds_count",
        "friendli_queue_wait_seconds_count",
    } <= moved
    assert 0 < after["friendli_kv_tokens"] <= after["friendli_kv_room_tokens"]
