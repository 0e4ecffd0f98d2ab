"""Chat templates: what they can say, and what a hostile one cannot do."""

import contextlib
import datetime
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.prompt import sandbox as module
from friendli_endpoint.chat.prompt.template import ChatTemplate, TemplateFault
from friendli_endpoint.generation import RequestError

MESSAGES = [{"role": "user", "content": "Hello"}]


def render(source: str, messages: list[dict[str, object]] | None = None, **extra: object) -> str:
    template = ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"})
    return template.render(messages or MESSAGES, extra)


def refusal(source: str, **extra: object) -> RequestError:
    with pytest.raises(RequestError) as refused:
        render(source, None, **extra)
    assert refused.value.status == 400
    return refused.value


def test_a_template_sees_messages_tokens_and_the_opening_of_the_answer() -> None:
    source = (
        "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m['content'] }}{{ eos_token }}"
        "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}{{ tools is none }}"
    )
    assert render(source) == "<s>user: Hello</s>assistant:True"


def test_blocks_take_no_room() -> None:
    assert render("a\n  {% if true %}\nb\n  {% endif %}\nc") == "a\nb\nc"


def test_loop_controls_work() -> None:
    source = "{% for n in range(9) %}{% if n == 1 %}{% continue %}{% endif %}"
    source += "{% if n == 4 %}{% break %}{% endif %}{{ n }}{% endfor %}"
    assert render(source) == "023"


def test_extra_variables_are_seen_and_absent_ones_are_nothing() -> None:
    assert render("{{ mood }}|{{ other }}|{{ other is defined }}", mood="good") == "good||False"


def test_tools_are_seen_where_they_are_offered() -> None:
    template = ChatTemplate("{{ tools[0].function.name }}", {})
    offered = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    assert template.render(MESSAGES, {}, tools=offered) == "look"


def test_a_template_refuses_in_its_own_words() -> None:
    refused = refusal("{{ raise_exception('Roles must alternate!') }}")
    assert refused.message.endswith("Roles must alternate!")
    assert (refused.param, refused.code) == ("messages", "template_error")


def test_the_field_at_fault_can_be_said() -> None:
    template = ChatTemplate("{{ raise_exception('no') }}", {})
    with pytest.raises(RequestError) as refused:
        template.render(MESSAGES, {"mood": "bad"}, "chat_template_kwargs")
    assert refused.value.param == "chat_template_kwargs"


@pytest.mark.parametrize(
    "source", ["{{ 1 / 0 }}", "{{ absent.attribute }}", "{{ messages[7].role }}", "{{ 'a' + 1 }}"]
)
def test_a_template_that_fails_is_a_refusal(source: str) -> None:
    assert refusal(source).code == "template_error"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__class__.__base__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum.__globals__['os'].system('true') }}",
        "{{ self.__init__.__globals__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ strftime_now.__code__ }}",
        "{{ ''|attr('__class__') }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{a.__class__}'.format_map({'a': 1}) }}",
        "{% set f = '{0.__class__}'.format %}{{ f(1) }}",
        "{{ (1).__reduce__() }}",
        "{% for x in [1] recursive %}{{ loop.__init__.__globals__ }}{% endfor %}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({}) }}",
        "{{ messages[0].pop('role') }}",
    ],
)
def test_the_sandbox_holds(source: str) -> None:
    messages: list[dict[str, object]] = [{"role": "user", "content": "Hello"}]
    with contextlib.suppress(RequestError):
        assert render(source, messages) == "", "what is unsafe is refused, or is nothing"
    assert messages == MESSAGES


def test_files_are_out_of_reach() -> None:
    for source in ("{% include '/etc/passwd' %}", "{% import 'os' as os %}", "{% extends 'x' %}"):
        assert refusal(source).code == "template_error"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is up at once: what must be bounded is, or the test hangs."""
    monkeypatch.setattr(module, "MOST_SECONDS", -1.0)


ENDLESS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = b %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) if a < 0 %}{% else %}"
    "{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
    "{% set x %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    "{% endset %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(50) }}",
    "{% for x in [1] * 9 recursive %}{% if loop.depth < 60 %}{{ loop([1] * 9) }}{% endif %}"
    "{% endfor %}",
]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("source", ENDLESS)
def test_a_template_that_runs_on_is_stopped(source: str) -> None:
    assert "seconds" in refusal(source).message


def test_a_stop_for_time_is_of_one_rendering_only(monkeypatch: pytest.MonkeyPatch) -> None:
    template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}", {})
    monkeypatch.setattr(module, "MOST_SECONDS", -1.0)
    with pytest.raises(RequestError):
        template.render(MESSAGES, {})
    monkeypatch.undo()
    assert template.render(MESSAGES, {}) == "Hello"


def test_renderings_in_several_threads_do_not_meet() -> None:
    template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}", {})
    together = threading.Barrier(4, timeout=30)
    texts: dict[int, str] = {}

    def work(number: int) -> None:
        together.wait()
        texts[number] = template.render([{"role": "user", "content": str(number)}] * 200, {})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert texts == {number: str(number) * 200 for number in range(4)}


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 10 ** 9 }}",
        "{{ 'x' * 999999999 }}",
        "{{ 999999999 * 'x' }}",
        "{{ [1] * 999999999 }}",
        "{{ 9 ** 9999999 }}",
        "{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}",
        "{{ range(999999999) | list }}",
    ],
)
def test_a_template_that_writes_or_makes_too_much_is_stopped(source: str) -> None:
    assert refusal(source).code == "template_error"


def test_a_long_conversation_is_not_too_much() -> None:
    messages: list[dict[str, object]] = [{"role": "user", "content": "word " * 2000}] * 100
    assert len(render("{% for m in messages %}{{ m.content }}{% endfor %}", messages)) == 10**6


@pytest.mark.parametrize(
    "source",
    [
        "{% if %}",
        "{{ unclosed",
        "{% for x in y %}",
        "{{ a | no_such_filter }}",
        "{% for a in b %}" * 30 + "{% endfor %}" * 30,
        "{{ " + "(" * 5000 + ")" * 5000 + " }}",
    ],
    ids=["if", "unclosed", "for", "filter", "nesting", "parentheses"],
)
def test_what_does_not_compile_is_a_fault(source: str) -> None:
    with pytest.raises(TemplateFault, match="does not compile"):
        ChatTemplate(source, {})


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(values)
def test_tojson_writes_json_as_it_is(value: object) -> None:
    template = ChatTemplate("{{ value | tojson }}", {})
    assert template.render(MESSAGES, {"value": value}) == json.dumps(value, ensure_ascii=False)


def test_tojson_escapes_nothing_for_html_and_indents() -> None:
    assert render("{{ v | tojson }}", v="<é & 'x'>") == "\"<é & 'x'>\""
    assert render("{{ v | tojson(indent=2) }}", v={"a": [1]}) == json.dumps({"a": [1]}, indent=2)
    assert render("{{ v | tojson(ensure_ascii=False, indent=1) }}", v=["é"]) == '[\n "é"\n]'


def test_the_date_is_that_of_now() -> None:
    before = datetime.datetime.now().astimezone()
    written = datetime.datetime.fromisoformat(render("{{ strftime_now('%Y-%m-%dT%H:%M:%S%z') }}"))
    after = datetime.datetime.now().astimezone()
    assert before.replace(microsecond=0) <= written <= after


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_what_users_write_is_never_run(text: str) -> None:
    messages: list[dict[str, object]] = [{"role": "user", "content": text + "{{ 1 / 0 }}{% if"}]
    template = ChatTemplate("{{ messages[0].content }}", {})
    assert template.render(messages, {}) == text + "{{ 1 / 0 }}{% if"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("separators=(',', ':')", '{"b":"é","a":[2]}'),
        ("sort_keys=True", '{"a": [2], "b": "é"}'),
        ("ensure_ascii=True", '{"b": "\\u00e9", "a": [2]}'),
    ],
)
def test_tojson_has_the_options_of_hugging_face(options: str, text: str) -> None:
    assert render("{{ v | tojson(" + options + ") }}", v={"b": "é", "a": [2]}) == text


def test_the_mark_of_what_is_trained_on_is_no_fault() -> None:
    source = "{%- for m in messages -%}{%- generation -%}{{ m.content }}{%- endgeneration -%}!"
    assert render(source + "{%- endfor -%}") == "Hello!"
