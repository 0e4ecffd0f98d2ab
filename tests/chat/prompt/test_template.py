"""Chat templates: supported features, and limits on hostile templates."""

import contextlib
import datetime
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.prompt.sandbox import meter as module
from friendli_endpoint.chat.prompt.template import ChatTemplate, ChatTemplateError
from friendli_endpoint.generation import RequestError

MESSAGES = [{"role": "user", "content": "Hello"}]


def render(source: str, messages: list[dict[str, object]] | None = None, **extra: object) -> str:
    template = ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"})
    return template.render(messages or MESSAGES, extra)


def error_of(source: str, **extra: object) -> RequestError:
    with pytest.raises(RequestError) as caught:
        render(source, None, **extra)
    assert caught.value.status == 400
    return caught.value


def test_a_template_gets_messages_special_tokens_and_add_generation_prompt() -> None:
    source = (
        "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m['content'] }}{{ eos_token }}"
        "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}{{ tools is none }}"
    )
    assert render(source) == "<s>user: Hello</s>assistant:True"


def test_lines_with_only_blocks_are_removed() -> None:
    assert render("a\n  {% if true %}\nb\n  {% endif %}\nc") == "a\nb\nc"


def test_loop_controls_work() -> None:
    source = "{% for n in range(9) %}{% if n == 1 %}{% continue %}{% endif %}"
    source += "{% if n == 4 %}{% break %}{% endif %}{{ n }}{% endfor %}"
    assert render(source) == "023"


def test_extra_variables_are_defined_and_absent_ones_are_empty() -> None:
    assert render("{{ mood }}|{{ other }}|{{ other is defined }}", mood="good") == "good||False"


def test_a_template_gets_the_offered_tools() -> None:
    template = ChatTemplate("{{ tools[0].function.name }}", {})
    offered = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    assert template.render(MESSAGES, {}, tools=offered) == "look"


def test_raise_exception_passes_its_message_to_the_client() -> None:
    error = error_of("{{ raise_exception('Roles must alternate!') }}")
    assert error.message.endswith("Roles must alternate!")
    assert (error.param, error.code) == ("messages", "template_error")


def test_an_error_names_the_requested_field() -> None:
    template = ChatTemplate("{{ raise_exception('no') }}", {})
    with pytest.raises(RequestError) as caught:
        template.render(MESSAGES, {"mood": "bad"}, "chat_template_kwargs")
    assert caught.value.param == "chat_template_kwargs"


@pytest.mark.parametrize(
    "source", ["{{ 1 / 0 }}", "{{ absent.attribute }}", "{{ messages[7].role }}", "{{ 'a' + 1 }}"]
)
def test_a_template_that_fails_is_a_request_error(source: str) -> None:
    assert error_of(source).code == "template_error"


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
def test_unsafe_expressions_have_no_effect(source: str) -> None:
    messages: list[dict[str, object]] = [{"role": "user", "content": "Hello"}]
    with contextlib.suppress(RequestError):
        assert render(source, messages) == "", "an unsafe expression fails or is empty"
    assert messages == MESSAGES


def test_templates_cannot_read_files() -> None:
    for source in ("{% include '/etc/passwd' %}", "{% import 'os' as os %}", "{% extends 'x' %}"):
        assert error_of(source).code == "template_error"


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the time limit to zero; a template without a time check would hang."""
    monkeypatch.setattr(module, "MAX_SECONDS", -1.0)


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


@pytest.mark.usefixtures("no_time")
@pytest.mark.parametrize("source", ENDLESS)
def test_an_endless_template_is_stopped(source: str) -> None:
    assert "seconds" in error_of(source).message


def test_a_time_limit_applies_to_one_rendering_only(monkeypatch: pytest.MonkeyPatch) -> None:
    template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}", {})
    monkeypatch.setattr(module, "MAX_SECONDS", -1.0)
    with pytest.raises(RequestError):
        template.render(MESSAGES, {})
    monkeypatch.undo()
    assert template.render(MESSAGES, {}) == "Hello"


def test_concurrent_renderings_are_independent() -> None:
    template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}", {})
    barrier = threading.Barrier(4, timeout=30)
    texts: dict[int, str] = {}

    def work(number: int) -> None:
        barrier.wait()
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
def test_a_template_that_creates_too_large_values_is_stopped(source: str) -> None:
    assert error_of(source).code == "template_error"


def test_a_long_conversation_is_within_the_limits() -> None:
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
def test_a_template_that_does_not_compile_raises(source: str) -> None:
    with pytest.raises(ChatTemplateError, match="does not compile"):
        ChatTemplate(source, {})


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(values)
def test_tojson_writes_plain_json(value: object) -> None:
    template = ChatTemplate("{{ value | tojson }}", {})
    assert template.render(MESSAGES, {"value": value}) == json.dumps(value, ensure_ascii=False)


def test_tojson_does_not_escape_html_and_supports_indent() -> None:
    assert render("{{ v | tojson }}", v="<é & 'x'>") == "\"<é & 'x'>\""
    assert render("{{ v | tojson(indent=2) }}", v={"a": [1]}) == json.dumps({"a": [1]}, indent=2)
    assert render("{{ v | tojson(ensure_ascii=False, indent=1) }}", v=["é"]) == '[\n "é"\n]'


def test_strftime_now_returns_the_current_time() -> None:
    before = datetime.datetime.now().astimezone()
    rendered = datetime.datetime.fromisoformat(render("{{ strftime_now('%Y-%m-%dT%H:%M:%S%z') }}"))
    after = datetime.datetime.now().astimezone()
    assert before.replace(microsecond=0) <= rendered <= after


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_user_text_is_never_evaluated(text: str) -> None:
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


def test_generation_blocks_render_their_body() -> None:
    source = "{%- for m in messages -%}{%- generation -%}{{ m.content }}{%- endgeneration -%}!"
    assert render(source + "{%- endfor -%}") == "Hello!"
