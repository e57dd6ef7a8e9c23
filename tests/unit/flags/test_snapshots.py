"""Snapshots and changes as JSON: what is neither is refused, whatever it is."""

import pytest

from flags.snapshots import read_change, read_snapshot, revision_of
from foundation.errors import DocumentError


@pytest.mark.parametrize("read", [revision_of, read_change, read_snapshot])
@pytest.mark.parametrize("document", [None, 3, "1-1", [], {}, {"revision": 5}, {"revision": "1"}])
def test_what_is_no_such_document_is_refused(read, document):
    with pytest.raises(DocumentError):
        read(document)
