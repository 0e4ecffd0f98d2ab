"""What a signal does for a while, and afterwards."""

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from friendli_endpoint.cli.signals import ctrl_c_once, handling


@pytest.fixture(autouse=True)
def before() -> Iterator[None]:
    """Handlers that a test recognises; those of the tests come back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_a_signal_goes_to_the_handler_until_the_block_ends() -> None:
    heard: list[int] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    with handling(signal.SIGTERM, hear):
        signal.raise_signal(signal.SIGTERM)
        assert heard == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_the_handler_before_comes_back_where_the_block_fails() -> None:
    with pytest.raises(ZeroDivisionError), handling(signal.SIGTERM, signal.SIG_DFL):
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def interrupts(times: int) -> int:
    """How many of so many presses of Ctrl-C raise KeyboardInterrupt."""
    raised = 0
    for _ in range(times):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raised += 1
    return raised


def test_the_second_ctrl_c_disturbs_nothing_until_the_block_ends() -> None:
    with ctrl_c_once():
        assert interrupts(3) == 1
    assert interrupts(3) == 3
