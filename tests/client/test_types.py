from __future__ import annotations

import copy
import pickle

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
