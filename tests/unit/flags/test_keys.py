"""The names of keys: one slot for each environment, and no name that could leave it."""

import pytest

from flags.stores.keys import Keys
from foundation.errors import DocumentError


def test_all_keys_of_an_environment_share_its_hash_tag():
    keys = Keys("demo-1")
    names = [keys.named("meta"), keys.operation("op_1"), keys.history("ns/a"), keys.acknowledged(7)]
    assert names == [
        *("sb:{demo-1}:meta", "sb:{demo-1}:op:op_1", "sb:{demo-1}:hist:ns/a"),
        "sb:{demo-1}:acked:7",
    ]


@pytest.mark.parametrize("name", ["", "a}b", "{a}", "a b", "a:b", "-a", "ä", "a" * 64, "a\n"])
def test_a_name_that_could_not_be_part_of_a_key_is_refused(name):
    with pytest.raises(DocumentError, match="environment"):
        Keys(name)
