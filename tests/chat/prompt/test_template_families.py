"""Small templates with the features of the chat templates of eight families."""

# ruff: noqa: E501 (a line break in a template would be part of the prompt)

from typing import Any

import pytest

from friendli_endpoint.chat.conversation import ChatModel
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.prompt.abilities import TemplateAbilities
from friendli_endpoint.chat.prompt.builder import PromptBuilder
from friendli_endpoint.chat.prompt.history import messages_for
from friendli_endpoint.chat.prompt.recognition import family_of
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.chat.reasoning.splitter import Phase, ReasoningSplitter
from friendli_endpoint.chat.reasoning.styles import style_of
from friendli_endpoint.chat.tools import Family, family_named
from friendli_endpoint.generation import RequestError
from tests.support.chat import body_of, prompt_ids, toolbox_of
from tests.support.scripted import ScriptedVocabulary

LLAMA3 = """{{- bos_token }}
{%- set system_message = '' %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' + system_message + '<|eot_id|>' }}
{%- if tools is not none %}{{- '{"name": function name, "parameters": {}}' }}
    {%- for t in tools %}{{- t | tojson(indent=4) }}{%- endfor %}
{%- endif %}
{%- for message in messages %}
    {%- if 'tool_calls' in message %}
        {%- set call = message.tool_calls[0].function %}
        {{- '{"name": "' + call.name + '", "parameters": ' }}{{- call.arguments | tojson }}{{- '}' }}
    {%- elif message.role == 'tool' %}
        {{- '<|start_header_id|>ipython<|end_header_id|>\\n\\n' + (message.content | tojson) }}
    {%- else %}
        {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content }}
    {%- endif %}
{{- '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}
"""
QWEN3 = """{%- if tools %}{{- '<tools>' }}{% for t in tools %}{{- '\\n' + (t | tojson) }}{% endfor %}
{{- '\\n</tools> answer in <tool_call></tool_call>\\n' }}{%- endif %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == 'assistant' %}
        {%- set reasoning = message.reasoning_content if message.reasoning_content is string else '' %}
        {%- if not reasoning and '</think>' in content %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if reasoning %}{{- '<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' }}{% endif %}
        {{- content }}
        {%- for call in message.tool_calls %}
            {{- '<tool_call>\\n{"name": "' ~ call.function.name ~ '", "arguments": ' }}
            {{- call.function.arguments if call.function.arguments is string else call.function.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + content + '\\n</tool_response><|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{%- endif %}"""
MISTRAL = """{{- bos_token }}{%- set ns = namespace(turn=0) %}
{%- for message in messages %}
    {%- if message.role in ['user', 'assistant'] and not message.tool_calls %}
        {%- if (message.role == 'user') != (ns.turn % 2 == 0) %}
            {{- raise_exception('roles must alternate user/assistant') }}
        {%- endif %}
        {%- set ns.turn = ns.turn + 1 %}
    {%- endif %}
    {%- if message.role == 'user' %}
        {%- if tools and loop.last %}{{- '[AVAILABLE_TOOLS]' + (tools | tojson) + '[/AVAILABLE_TOOLS]' }}{% endif %}
        {{- '[INST]' + message.content + '[/INST]' }}
    {%- elif message.tool_calls %}
        {{- '[TOOL_CALLS][' }}{% for c in message.tool_calls %}{{- c.function | tojson }}{% endfor %}{{- ']' + eos_token }}
    {%- elif message.role == 'tool' %}{{- '[TOOL_RESULTS]' + message.content + '[/TOOL_RESULTS]' }}
    {%- elif message.role == 'assistant' %}{{- message.content + eos_token }}
    {%- else %}{{- raise_exception('only user, assistant and tool roles') }}
    {%- endif %}
{%- endfor %}"""
DEEPSEEK_R1 = """{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}
{%- elif m['role'] == 'user' %}{{ '<|User|>' + m['content'] }}
{%- else %}{% set content = m['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{ '<|Assistant|>' + content + eos_token }}
{%- endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|Assistant|><think>\\n' }}{% endif %}"""
GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}
{{ m.content | trim }}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}"""
PHI = """{% for m in messages %}{{ '<|' + m['role'] + '|>\\n' + m['content'] + '<|end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{% else %}{{- eos_token }}{% endif %}"""
GRANITE = """{%- if messages[0].role != 'system' %}<|start_of_role|>system<|end_of_role|>Today's Date: {{ strftime_now('%Y') }}.
{%- if thinking %} Write 'Here is my thought process:' and 'Here is my response:'.{% endif %}
{%- endif %}{% for m in messages %}<|start_of_role|>{{ m.role }}<|end_of_role|>{{ m.content }}<|end_of_text|>
{% endfor %}<|start_of_role|>assistant<|end_of_role|>"""
HERMES = """{% if tools %}<tools>{% for t in tools %}{{ t.function | tojson }}{% endfor %}</tools> in <tool_call>
{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% if m.tool_calls %}{% for c in m.tool_calls %}<tool_call>{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}</tool_call>{% endfor %}{% endif %}<|im_end|>
{% endfor %}{{ '<|im_start|>assistant\\n' }}"""
ALL = {
    "llama3": LLAMA3,
    "qwen3": QWEN3,
    "mistral": MISTRAL,
    "deepseek": DEEPSEEK_R1,
    "gemma": GEMMA,
    "phi": PHI,
    "granite": GRANITE,
    "hermes": HERMES,
}
VOCABULARY = ScriptedVocabulary(context=100_000)
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "hi"}
CALL = {
    "id": "123456789",
    "type": "function",
    "function": {"name": "look", "arguments": '{"a": 1}'},
}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "123456789", "content": "4"}


def known_family(source: str) -> Family:
    family = family_of(source)
    assert family is not None
    return family


def prompt(source: str, *messages: dict[str, Any], tools: bool = False, **extra: Any) -> str:
    body = body_of(messages=messages, tools=[TOOL] if tools else [])
    toolbox = toolbox_of(body, VOCABULARY, known_family(source))
    builder = PromptBuilder(
        ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"}),
        VOCABULARY,
        VOCABULARY.context,
    )
    prepared = messages_for(TemplateAbilities(source), body.messages, toolbox)
    built = builder.build(prepared, extra, toolbox.definitions if toolbox else None)
    assert VOCABULARY.text(built.ids) == built.text
    return built.text


OPENINGS = {
    "llama3": "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "qwen3": "<|im_start|>assistant\n",
    "mistral": "[INST]hi[/INST]",
    "deepseek": "<|Assistant|><think>\n",
    "gemma": "<start_of_turn>model\n",
    "phi": "<|assistant|>\n",
    "granite": "<|start_of_role|>assistant<|end_of_role|>",
    "hermes": "<|im_start|>assistant\n",
}


@pytest.mark.parametrize("name", ALL)
def test_a_prompt_ends_with_the_opening_of_the_answer(name: str) -> None:
    assert prompt(ALL[name], USER).endswith(OPENINGS[name])


CONTINUED = {**OPENINGS, "deepseek": "<|Assistant|>"}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("content", ["Hel", " Hel \n", ""])
def test_a_continued_message_ends_the_prompt_as_it_was_sent(name: str, content: str) -> None:
    model = ChatModel(RuleCompiler(VOCABULARY), ALL[name], VOCABULARY.context)
    last = {"role": "assistant", "content": content, "prefix": True}
    text = VOCABULARY.text(prompt_ids(model.prepare(body_of(messages=[USER, last])).request))
    assert text.endswith(CONTINUED[name] + content)


@pytest.mark.parametrize(
    ("name", "opening"),
    [
        ("qwen3", "<|im_start|>assistant\n<think>\n"),
        ("deepseek", "<|Assistant|><think>\n"),
        ("granite", "assistant<|end_of_role|>Here is my thought process:"),
    ],
)
@pytest.mark.parametrize("thought", ["Hm", " Hm\n"])
def test_unfinished_reasoning_ends_the_prompt_after_its_tag(
    name: str, opening: str, thought: str
) -> None:
    model = ChatModel(RuleCompiler(VOCABULARY), ALL[name], VOCABULARY.context)
    last = {"role": "assistant", "reasoning_content": thought, "prefix": True}
    request = model.prepare(body_of(messages=[USER, last])).request
    assert VOCABULARY.text(prompt_ids(request)).endswith(opening + thought)
    assert request.rules.reasoning and request.rules.reasoning.start == "reasoning"


@pytest.mark.parametrize("name", ALL)
def test_the_system_message_precedes_the_user_message(name: str) -> None:
    before, _, after = prompt(ALL[name], SYSTEM, USER).partition("Be brief.")
    assert "hi" in after
    assert "hi" not in before


@pytest.mark.parametrize(
    ("source", "messages", "message"),
    [
        (MISTRAL, [USER, USER], "roles must alternate user/assistant"),
        (MISTRAL, [USER, SYSTEM], "only user, assistant and tool roles"),
    ],
)
def test_a_template_error_has_the_message_of_the_template(
    source: str, messages: list[Any], message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        prompt(source, *messages)
    assert caught.value.message.endswith(message)


@pytest.mark.parametrize(
    ("source", "call"),
    [
        (LLAMA3, '{"name": "look", "parameters": {"a": 1}}'),
        (QWEN3, '<tool_call>\n{"name": "look", "arguments": {"a": 1}}\n</tool_call>'),
        (MISTRAL, '[TOOL_CALLS][{"name": "look", "arguments": {"a": 1}}]'),
        (HERMES, '<tool_call>{"name": "look", "arguments": {"a": 1}}</tool_call>'),
        (PHI, '<tool_call>\n{"name": "look", "arguments": {"a": 1}}\n</tool_call>'),
        (GEMMA, '<tool_call>\n{"name": "look", "arguments": {"a": 1}}\n</tool_call>'),
    ],
)
def test_calls_and_results_are_in_the_prompt(source: str, call: str) -> None:
    text = prompt(source, USER, CALLING, RESULT, tools=True)
    assert call in text
    assert "4" in text.partition(call)[2]


@pytest.mark.parametrize("name", ALL)
def test_tools_are_in_the_prompt(name: str) -> None:
    assert "look" in prompt(ALL[name], USER, tools=True)
    assert "look" not in prompt(ALL[name], USER)


@pytest.mark.parametrize(
    ("name", "family"),
    [("llama3", "llama3"), ("qwen3", "hermes"), ("mistral", "mistral"), ("hermes", "hermes")],
)
def test_the_family_is_found(name: str, family: str) -> None:
    assert family_of(ALL[name]) is family_named(family)


@pytest.mark.parametrize(
    ("source", "extra", "phase"),
    [
        (QWEN3, {}, Phase.START),
        (QWEN3, {"enable_thinking": True}, Phase.START),
        (QWEN3, {"enable_thinking": False}, Phase.ANSWER),
        (DEEPSEEK_R1, {}, Phase.REASONING),
        (GRANITE, {"thinking": True}, Phase.START),
    ],
)
def test_the_prompt_decides_in_which_phase_the_output_starts(
    source: str, extra: dict[str, Any], phase: Phase
) -> None:
    style = style_of(source)
    assert style is not None
    assert ReasoningSplitter(style.rule(prompt(source, USER, **extra))).phase is phase


def test_the_template_decides_whether_earlier_reasoning_is_kept() -> None:
    reasoned = {"role": "assistant", "content": "4", "reasoning_content": "hm"}
    assert "<think>\nhm\n</think>\n\n4" in prompt(QWEN3, USER, reasoned, USER)
    inline = {"role": "assistant", "content": "<think>hm</think>4"}
    for source in (QWEN3, DEEPSEEK_R1):
        assert "hm" not in prompt(source, USER, inline, USER)


def test_granite_renders_the_current_year() -> None:
    assert "Today's Date: 2" in prompt(GRANITE, USER)
