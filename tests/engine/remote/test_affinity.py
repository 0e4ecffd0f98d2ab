"""Requests go to the engine that has their prefix, unless it is much busier."""

from dataclasses import replace
from typing import cast

from friendli_endpoint.engine.remote.affinity import PREFIX_TOKENS, Affinity
from friendli_endpoint.engine.remote.member import Member
from friendli_endpoint.generation import GenerationRequest, ModelCard
from tests.engine.remote.scripted_child import request
from tests.http.scripted import CARD

SLOTS = CARD.num_sequences


class ScriptedMember:
    """An engine with a load."""

    def __init__(self, load: int = 0) -> None:
        self.load = load
        self.card: ModelCard | None = CARD


def members(*loads: int) -> list[Member]:
    return [cast(Member, ScriptedMember(load)) for load in loads]


def prompt(first: int, tail: int = 0, adapter: str | None = None) -> GenerationRequest:
    tokens = (first,) * PREFIX_TOKENS + (tail,)
    return request("a", *tokens, adapter=adapter)


def test_a_new_prefix_goes_to_the_least_busy_engine() -> None:
    engines = members(3, 1, 2)
    assert Affinity().choose(prompt(1), engines) is engines[1]


def test_a_known_prefix_goes_to_its_engine_until_that_is_much_busier() -> None:
    affinity, engines = Affinity(), members(0, 0)
    assert affinity.choose(prompt(1, 5), engines) is engines[0]
    engines[0].load = SLOTS // 2
    assert affinity.choose(prompt(1, 6), engines) is engines[0]
    engines[0].load += 1
    assert affinity.choose(prompt(1, 7), engines) is engines[1]
    engines[0].load = 0
    assert affinity.choose(prompt(1, 8), engines) is engines[1]


def test_adapters_have_prefixes_of_their_own() -> None:
    affinity, engines = Affinity(), members(0, 1)
    assert affinity.choose(prompt(1), engines) is engines[0]
    engines[0].load = 2
    assert affinity.choose(prompt(1), engines) is engines[0]
    assert affinity.choose(prompt(1, adapter="a"), engines) is engines[1]


def test_an_engine_that_may_not_get_the_request_is_not_chosen() -> None:
    affinity, engines = Affinity(), members(0, 5)
    assert affinity.choose(prompt(1), engines) is engines[0]
    assert affinity.choose(prompt(1), engines[1:]) is engines[1]


def test_a_short_prompt_is_its_own_prefix() -> None:
    affinity, engines = Affinity(), members(0, 1)
    short = request("a", 9)
    assert affinity.choose(short, engines) is engines[0]
    engines[0].load = 2
    assert affinity.choose(replace(short, request_id="b"), engines) is engines[0]
    assert affinity.choose(request("c", 9, 9), engines) is engines[1]
