"""Names that people gave to batches. The API keeps none, so they are in the record of this machine (``record/``).

Here is where the record is, what a name may be, and a look for names that never fails and never writes.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .api.errors import InvalidInputError, clean
from .api.models import ID_PREFIX

if TYPE_CHECKING:
    import sqlite3

VARIABLE = "CANCEL_MESSAGE_BATCH_RECORD"
NAME_LIMIT = 100  # characters
_PATIENCE = 0.2  # seconds to wait for a record that is locked, before names are left out


def record_path() -> Path | None:
    """Return where the record is, whether or not there is one yet; None when it is turned off."""
    given = os.environ.get(VARIABLE)
    if given == "off":
        return None
    if given:
        return Path(os.path.expanduser(given))
    from platformdirs import user_state_dir

    return Path(user_state_dir("cancel-message-batch", appauthor=False), "record.sqlite3")


def clean_name(text: str) -> str:
    """Make a name one line without control characters; an empty one stays empty.

    Raises:
        InvalidInputError: It is too long, holds nothing that can be shown, or could be taken for an id.
    """
    name = clean(text, limit=NAME_LIMIT + 1)
    if len(name) > NAME_LIMIT:
        raise InvalidInputError(f"a name has at most {NAME_LIMIT} characters, and this one has {len(text):,}")
    if text and not name:
        raise InvalidInputError("the name holds no character that can be shown")
    if ID_PREFIX in name:
        raise InvalidInputError(f"a name may not hold {ID_PREFIX}, so that nobody takes it for an id")
    return name


def names_of(ids: Iterable[str]) -> dict[str, str]:
    """Return the names of those of these batches that have one. What cannot be read has no names."""
    path = record_path()
    if path is None or not os.path.isfile(path):  # pathlib's raises where a directory cannot be read
        return {}
    import sqlite3

    with contextlib.suppress(sqlite3.Error):
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE)) as record:
            return names_in(record, ids)
    return {}


def names_in(record: "sqlite3.Connection", ids: Iterable[str]) -> dict[str, str]:
    """Return the names that an open record has for these batches."""
    found = (record.execute("SELECT id, name FROM batches WHERE id = ?", (one,)).fetchone() for one in ids)
    return {row[0]: row[1] for row in found if row and row[1]}
