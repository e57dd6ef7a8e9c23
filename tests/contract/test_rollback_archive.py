"""Receipts on disk: whole or not at all, and under no other name than their own."""

import pytest

from foundation.signing import SigningKey
from rollout.archive import ReceiptFolder
from rollout.errors import ReceiptUnknown
from rollout.receipt import build, sign
from rollout.record import Request, opened


@pytest.fixture
def receipt():
    return sign(build(opened("rb_1", "demo", Request("ops"), 0.0), 2.0), SigningKey.generate())


def test_a_folder_keeps_receipts_as_they_were_signed(receipt, tmp_path):
    folder = ReceiptFolder(tmp_path / "deep" / "receipts")
    assert folder.names() == []
    path = folder.keep(receipt)
    folder.keep(receipt)
    assert folder.read(receipt["receipt"]) == receipt
    assert folder.names() == [receipt["receipt"]]
    assert path.endswith(f"{receipt['receipt']}.json")


@pytest.mark.parametrize("name", ["rb_unknown", "../rb_1", "", "a/b", "x" * 101])
def test_a_folder_knows_no_other_names(tmp_path, name):
    with pytest.raises(ReceiptUnknown):
        ReceiptFolder(tmp_path).read(name)


def test_a_folder_that_can_not_be_written_says_so(receipt, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        ReceiptFolder(tmp_path / "file" / "receipts").keep(receipt)
