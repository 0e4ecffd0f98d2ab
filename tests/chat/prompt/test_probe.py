"""The form that is found for each habit of chat templates."""

from typing import Any

import pytest

from friendli_endpoint.chat.prompt.abilities import TemplateAbilities
from friendli_endpoint.chat.prompt.history_form import HistoryForm
from friendli_endpoint.chat.prompt.probe import Probe
from friendli_endpoint.chat.prompt.probe_conversations import PROBE_USER
from friendli_endpoint.chat.prompt.template import ChatTemplate

from .history_templates import TEMPLATES

FORMS: dict[str, dict[str, Any]] = {
    "object": {},
    "whole call": {},
    "iterates": {"free_arguments": "written"},
    "filters items": {"free_arguments": "written"},
    "concatenates": {"arguments": "text"},
    "prints": {"arguments": "text"},
    "demands text": {"arguments": "text"},
    "demands object": {"free_arguments": "written"},
    "takes both": {},
    "null content": {"text": "several", "no_content": None},
    "no content": {"text": "several", "has_content": False},
    "calls or text": {"text": "several"},
    "text or calls": {"text": "several"},
    "rejects several": {"several_calls": "several"},
    "first call": {"several_calls": "several"},
    "one result a call": {"several_calls": "several"},
    "ids of nine": {"ids": "short"},
    "numbered ids": {"ids": "numbered"},
    "ids numbered in the message": {"ids": "numbered_in_message"},
    "id instead of name": {"ids": "numbered"},
    "names of results": {},
    "no results": {},
    "ignores results": {"results": "user"},
    "needs tools": {},
    "needs tools for results": {"results": "user"},
    "alternates": {"calls": "written_with_results", "results": "user"},
    "alternates beside calls": {"text": "written_with_results", "interrupted": "written"},
    "no calls": {"calls": "written"},
    "neither calls nor results": {"calls": "written_with_results", "results": "user"},
    "only content that is text": {"calls": "written"},
    "reasoning or text": {"reasoning": "without_text", "reasoning_key": "thinking"},
    "no reasoning": {"reasoning": "none"},
    "loses the last answer": {"unanswered": "written"},
    "system before the last user": {"text": "several"},
}


@pytest.mark.parametrize("habit", TEMPLATES)
def test_the_form_of_each_habit_is_found(habit: str) -> None:
    assert TemplateAbilities(TEMPLATES[habit]).form(False) == HistoryForm(**FORMS[habit])


def test_a_template_that_refuses_all_arguments_but_objects_is_known() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'assistant' and m.tool_calls %}"
        "{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments.items() | list }}"
        "{% endfor %}{% elif m.role != 'assistant' or not '{' in m.content %}{{ m.content }}"
        "{% else %}{{ raise_exception('no calls in content') }}{% endif %}{% endfor %}"
    )
    assert TemplateAbilities(source).form(False).free_arguments is None


def test_a_template_that_renders_nothing_has_the_usual_form() -> None:
    for source in ("{{ raise_exception('never') }}{{ m.tool_calls }}", "{{ m.tool_calls + 1 }}"):
        assert TemplateAbilities(source).form(True) == HistoryForm()


def test_calls_are_written_for_a_template_that_shows_no_message() -> None:
    source = "{% for m in messages %}.{% endfor %}"
    assert TemplateAbilities(source).form(False) == HistoryForm("written")


def test_probing_stops_after_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rendering takes two seconds of a clock that only renderings advance."""
    now = 0.0
    rendered: list[object] = []

    class Slow(ChatTemplate):
        def render(self, *args: Any, **kwargs: Any) -> str:
            nonlocal now
            now += 2
            rendered.append(args)
            return "prompt"

    monkeypatch.setattr("time.thread_time", lambda: now)
    slow = Probe(Slow("", {}))
    prompts = [slow.render([PROBE_USER], None) for _ in range(10)]
    assert prompts == ["prompt"] * 3 + [None] * 7
    assert len(rendered) == 3
