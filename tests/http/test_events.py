"""Serialization of chunks as events: text deltas and full chunks."""

from hypothesis import given
from hypothesis import strategies as st

from friendli.models import StreamedChatChoice, StreamedChatChoiceDelta, StreamedChatData
from friendli_endpoint.chat.output.response_builder import TextDelta
from friendli_endpoint.http.events import ChunkWriter

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS, st.lists(st.tuples(st.integers(0, 3), TEXTS), min_size=1, max_size=8))
def test_a_text_delta_is_written_like_its_full_chunk(
    model: str, deltas: list[tuple[int, str]]
) -> None:
    def expand(choice: int, text: str) -> StreamedChatData:
        shown = StreamedChatChoice(index=choice, delta=StreamedChatChoiceDelta(content=text))
        return StreamedChatData(id="chatcmpl-1", choices=[shown], created=1, model=model)

    writer, whole = ChunkWriter(expand), ChunkWriter(expand)
    for choice, text in deltas:
        assert writer.write(TextDelta(choice, text)) == whole.write(expand(choice, text))
