"""Rate limits of requests and tokens a minute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.limits.rates import RateLimiter, TokenBucket
from tests.http.clock import Clock

AMOUNTS = st.lists(st.tuples(st.integers(0, 40), st.floats(0, 100)), max_size=20)


@given(st.integers(1, 30), AMOUNTS, st.integers(1, 60))
def test_an_amount_is_available_after_the_wait_and_not_before(
    per_minute: int, earlier: list[tuple[int, float]], wanted: int
) -> None:
    now = 0.0
    bucket = TokenBucket(per_minute, per_minute, now)
    for amount, pause in earlier:
        bucket.take(amount, now)
        now += pause
    seconds = bucket.wait(wanted, now)
    if seconds > 0.01:
        assert bucket.wait(wanted, now + 0.99 * seconds) > 0
    assert bucket.wait(wanted, now + 1.01 * seconds + 1e-6) == 0


@given(st.integers(1, 30), AMOUNTS)
def test_a_bucket_grants_no_more_than_its_rate(
    per_minute: int, asked: list[tuple[int, float]]
) -> None:
    now, taken = 0.0, 0
    bucket = TokenBucket(per_minute, per_minute, now)
    for amount, pause in asked:
        if amount <= per_minute and bucket.wait(amount, now) == 0:
            bucket.take(amount, now)
            taken += amount
        now += pause
        assert taken <= per_minute + now * per_minute / 60 + 1e-6


def test_requests_are_limited_per_token_with_retry_after() -> None:
    clock = Clock()
    rates = RateLimiter(requests=6, clock=clock)
    for _ in range(6):
        rates.take_request(b"a")
    with pytest.raises(RequestError, match="6 requests a minute") as caught:
        rates.take_request(b"a")
    assert (caught.value.status, caught.value.retry_after) == (429, 10)
    rates.take_request(b"b")
    rates.take_request(None)
    clock.now += 10
    rates.take_request(b"a")
    with pytest.raises(RequestError):
        rates.take_request(b"a")


def test_generated_tokens_can_make_the_level_negative() -> None:
    clock = Clock()
    rates = RateLimiter(tokens=60, clock=clock)
    rates.take_prompt(b"a", 50)
    rates.add_tokens(b"a", 40)
    with pytest.raises(RequestError) as caught:
        rates.take_prompt(b"a", 1)
    assert caught.value.retry_after == 31
    clock.now += 31
    rates.take_prompt(b"a", 1)


def test_a_prompt_above_the_limit_is_allowed_when_the_bucket_is_full() -> None:
    clock = Clock()
    rates = RateLimiter(tokens=60, clock=clock)
    rates.take_prompt(None, 600)
    with pytest.raises(RequestError) as caught:
        rates.take_prompt(None, 600)
    assert caught.value.retry_after == 600
    clock.now += 600
    rates.take_prompt(None, 600)


def test_without_limits_nothing_is_counted() -> None:
    rates = RateLimiter()
    for _ in range(1000):
        rates.take_request(None)
        rates.take_prompt(None, 10**9)
        rates.add_tokens(None, 10**9)


def test_unused_requests_do_not_accumulate_beyond_the_limit() -> None:
    clock = Clock()
    rates = RateLimiter(requests=2, clock=clock)
    rates.take_request(b"a")
    clock.now += 3600
    for _ in range(2):
        rates.take_request(b"a")
    with pytest.raises(RequestError):
        rates.take_request(b"a")


def test_rejected_prompts_are_not_counted() -> None:
    clock = Clock()
    rates = RateLimiter(tokens=60, clock=clock)
    rates.take_prompt(b"a", 40)
    for _ in range(5):
        with pytest.raises(RequestError, match="60 tokens a minute") as caught:
            rates.take_prompt(b"a", 30)
        assert caught.value.retry_after == 10
    rates.take_prompt(b"a", 20)


@given(st.integers(1, 1000), st.floats(0, 1e9), st.lists(st.floats(0, 200), max_size=5))
def test_a_request_is_allowed_after_retry_after(
    per_minute: int, start: float, pauses: list[float]
) -> None:
    clock = Clock()
    clock.now = start
    rates = RateLimiter(tokens=per_minute, clock=clock)
    for pause in pauses:
        rates.add_tokens(b"a", per_minute)
        clock.now += pause
    try:
        rates.take_prompt(b"a", 1)
    except RequestError as error:
        assert error.retry_after is not None
        assert error.retry_after >= 1
        clock.now += error.retry_after
        rates.take_prompt(b"a", 1)


def test_retry_after_is_rounded_up() -> None:
    clock = Clock()
    rates = RateLimiter(requests=1, clock=clock)
    rates.take_request(b"a")
    for passed, remaining in ((0.25, 60), (58.75, 1), (0.9375, 1)):
        clock.now += passed
        with pytest.raises(RequestError) as caught:
            rates.take_request(b"a")
        assert caught.value.retry_after == remaining
    clock.now += 0.0625
    rates.take_request(b"a")


def test_requests_and_tokens_are_limited_separately() -> None:
    rates = RateLimiter(requests=1, tokens=5, clock=Clock())
    rates.take_request(b"a")
    rates.take_prompt(b"a", 5)
    with pytest.raises(RequestError, match="1 requests a minute"):
        rates.take_request(b"a")
    with pytest.raises(RequestError, match="5 tokens a minute"):
        rates.take_prompt(b"a", 1)
