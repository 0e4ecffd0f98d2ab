"""The number of engines follows the number of choices."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.remote.ray.replica import CHOICES
from friendli_endpoint.engine.remote.ray.scaling import num_engines

CHOICES_OF_ENGINES = st.dictionaries(st.text(max_size=3), st.integers(0, 500), min_size=1)


@given(st.integers(1, 64), st.integers(1, 256), CHOICES_OF_ENGINES)
def test_engines_are_as_many_as_are_needed_and_no_more(
    current: int, target: int, choices: dict[str, int]
) -> None:
    scaling = SimpleNamespace(
        config=SimpleNamespace(target_ongoing_requests=target),
        current_num_replicas=current,
        aggregated_metrics={CHOICES: choices},
    )
    wanted, state = num_engines(scaling)
    total = sum(choices.values())
    assert wanted * target >= total > (wanted - 1) * target and not state


@given(st.integers(0, 64), st.sampled_from([None, {}, {CHOICES: {}}, {"other": {"a": 3}}]))
def test_without_a_number_of_choices_the_engines_stay(
    current: int, metrics: dict[str, dict[str, float]] | None
) -> None:
    scaling = SimpleNamespace(
        config=SimpleNamespace(target_ongoing_requests=1),
        current_num_replicas=current,
        aggregated_metrics=metrics,
    )
    assert num_engines(scaling) == (current, {})
