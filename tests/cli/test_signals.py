"""Temporary signal handlers."""

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from friendli_endpoint.cli.signals import ctrl_c_once, signal_handler


@pytest.fixture(autouse=True)
def before() -> Iterator[None]:
    """Sets known handlers for a test, and restores the previous ones after it."""
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


def test_the_handler_is_used_until_the_block_ends() -> None:
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    with signal_handler(signal.SIGTERM, receive):
        signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_the_previous_handler_is_restored_if_the_block_raises() -> None:
    with pytest.raises(ZeroDivisionError), signal_handler(signal.SIGTERM, signal.SIG_DFL):
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def interrupts(times: int) -> int:
    """Returns the number of KeyboardInterrupts raised by a number of Ctrl-C."""
    raised = 0
    for _ in range(times):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raised += 1
    return raised


def test_only_the_first_ctrl_c_in_the_block_interrupts() -> None:
    with ctrl_c_once():
        assert interrupts(3) == 1
    assert interrupts(3) == 3
