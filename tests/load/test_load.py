"""Short runs of the reliability experiments; they check for faults, not for times."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from friendli.models import DedicatedChatCompletionBody
from tests.load import faults
from tests.load.adapter_files import adapter_files
from tests.load.bodies import FIELDS, bodies, body
from tests.load.inputs import inputs
from tests.load.model_files import model_files
from tests.load.queue_full import queue_full
from tests.load.shapes import shape, shapes
from tests.load.soak import soak, soak_of_kills
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes a model with two small layers, which starts in a third of the embedded one's time."""
    return write_byte_pairs(tmp_path_factory.mktemp("model") / "model.gguf", LLAMA)


@pytest.fixture(scope="module")
def flags(model: Path) -> list[str]:
    """Returns flags of `serve`: one thread, as several that wait for each other are slow here."""
    return ["--threads", "1", "--model", str(model)]


def test_answers_in_mixed_traffic_equal_those_without_load(model: Path) -> None:
    found = soak(1, 8, "--threads", "1", kinds=14, min_requests=6, model=model, context=4096)
    assert all(
        found[count] > 0
        for count in ("responses", "adapters loaded", "cancelled by the client", "rejected (4xx)")
    )
    assert (found["wrong responses"], found["errors"]) == (0, 0)
    assert found["same responses at the end"]


def test_answers_in_mixed_traffic_are_the_same_while_engines_are_killed() -> None:
    found = soak_of_kills(1, concurrent=8, min_requests=6, kill_every=1)
    assert found["engines killed"] > 0 and found["responses"] > 0
    assert (found["wrong responses"], found["errors"]) == (0, 0)
    assert found["same responses at the end"]


def test_streams_go_on_after_a_time_without_an_engine(flags: list[str]) -> None:
    found = faults.lost_engine(*flags, count=3, seconds=3)
    assert found["processes killed"] > 1 and found["comments"] > 0
    assert found["of these with the same bytes, and no error"] == 3


def test_sequences_of_killed_clients_are_freed(flags: list[str]) -> None:
    found = faults.killed_clients(*flags, count=2)
    assert found["the next response is correct"]


def test_clients_of_a_killed_server_get_an_error_and_retries_reach_its_successor(
    flags: list[str],
) -> None:
    found = faults.killed_server(*flags, count=3)
    assert found["errors"] == {"NetworkError": 3}
    assert found["of these successful after the restart"] == 3


def test_an_engine_failure_affects_only_running_requests(flags: list[str]) -> None:
    found = faults.failing_engine(*flags, count=4)
    assert found["failed with a 500"] > 0 and found["failed with another status"] == 0
    assert found["completed"] > 0 and found["of these wrong"] == 0
    assert found["status of /health at the end"] == 200


def test_a_download_resumes_after_a_full_disk() -> None:
    found = faults.full_disk()
    assert found["exit codes"] == [1, 0]
    assert found["the second run requests only the rest"] and found["the file is complete"]


def test_requests_rejected_by_a_full_queue_succeed_on_retry(flags: list[str]) -> None:
    found = queue_full(20, *flags)
    assert found["rejected with 429"] > 0 and found["Retry-After, seconds (min, max)"][0] >= 1
    assert found["answered correctly in the end"] == 20


@pytest.mark.timeout(120)
def test_invalid_input_gets_4xx(flags: list[str]) -> None:
    found = inputs(50, *flags)
    assert found["requests"] >= 100 and found["5xx"] == 0
    assert found["status of a valid request afterwards"] == 200


@pytest.mark.timeout(300)
@pytest.mark.parametrize("attack", [bodies, shapes])
def test_the_endpoint_survives_any_body_and_any_http(
    attack: Callable[..., dict[str, Any]], flags: list[str]
) -> None:
    found = attack(50, *flags)
    assert found["failed"] == "none"
    assert found["2xx"] > 0 and found["4xx"] > 0


def test_bodies_are_generated_from_every_field() -> None:
    assert set(FIELDS) == set(DedicatedChatCompletionBody.model_fields)


@pytest.mark.parametrize("make", [body, shape])
def test_the_same_seed_generates_the_same_case(make: Callable[[random.Random], object]) -> None:
    made = [make(random.Random(f"a seed {number}")) for number in range(20)]
    assert made == [make(random.Random(f"a seed {number}")) for number in range(20)]
    assert len({repr(case) for case in made}) > 10


def test_mutated_adapter_files_are_rejected_or_work(model: Path) -> None:
    found = adapter_files(cases=40, model=model)
    assert found["rejected"] > 0 and found["accepted and used"] > 0
    assert (found["failed"], found["of these wrong"]) == (0, 0)
    assert found["concurrent streams"] > 0 and found["the process is still running"]


def test_mutated_model_files_are_rejected_or_served() -> None:
    found = model_files(cases=40, embedded=0.03)
    assert found["rejected"] > 0 and found["served"] > 0
    assert found["rejected"] + found["served"] == found["doctor agrees"] == 40
