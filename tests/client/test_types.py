from __future__ import annotations

import copy
import pickle
from typing import Any

import pydantic
from fastapi.encoders import jsonable_encoder

from friendli.types import UNSET, Unset


class TestUnset:
    def test_unset_is_a_singleton(self) -> None:
        assert Unset() is UNSET
        assert pickle.loads(pickle.dumps(UNSET)) is UNSET
        assert copy.deepcopy([UNSET])[0] is UNSET
        assert copy.copy(UNSET) is UNSET

    def test_unset_is_falsy_and_equals_only_itself(self) -> None:
        assert not UNSET
        assert repr(UNSET) == "Unset()"
        assert UNSET == Unset()
        assert UNSET != None  # noqa: E711
        assert len({UNSET, Unset()}) == 1

    def test_json_of_a_program_s_own_dict_has_null(self) -> None:
        adapter = pydantic.TypeAdapter(dict[str, Any])
        assert adapter.dump_json({"calls": UNSET, "all": [UNSET]}) == b'{"calls":null,"all":[null]}'
        assert adapter.dump_python({"calls": UNSET}) == {"calls": UNSET}

    def test_absent_text_prints_and_formats_as_nothing(self) -> None:
        assert str(UNSET) == f"{UNSET}" == "%s" % UNSET == ""  # noqa: UP031
        assert f"{[UNSET]}" == "[Unset()]"

    def test_iteration_over_an_absent_list_yields_nothing(self) -> None:
        assert list(UNSET) == []

    def test_fastapi_s_encoder_writes_an_empty_object(self) -> None:
        assert jsonable_encoder({"content": UNSET}) == {"content": {}}
