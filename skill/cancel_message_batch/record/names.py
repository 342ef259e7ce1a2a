"""Names that people gave to batches. The API keeps none, so they are in the record of this machine (``record/``).

Where the record is, what a name may be, and a lookup of names that never fails and never writes. If there is
no record, it costs nothing.
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cancel_message_batch.api.errors import InvalidInputError, clean
from cancel_message_batch.api.models import ID_PREFIX, MessageBatch

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
    # What platformdirs would say; every listing asks for it, and that import takes longer than all the rest.
    if sys.platform == "win32":
        state = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        state = "~/Library/Application Support"
    else:
        state = os.environ.get("XDG_STATE_HOME", "").strip() or "~/.local/state"
    return Path(os.path.expanduser(state), "cancel-message-batch", "record.sqlite3")


def clean_name(text: str) -> str:
    """Make a name one line without control characters; an empty one stays empty.

    Raises:
        InvalidInputError: It is too long, holds nothing that can be shown, or could be taken for an id.
    """
    name = _one_line(text, limit=NAME_LIMIT + 1)
    if len(name) > NAME_LIMIT:
        raise InvalidInputError(f"a name has at most {NAME_LIMIT} characters, and this one has {len(text):,}")
    if text and not name:
        raise InvalidInputError("the name has no visible character")
    if ID_PREFIX in name:
        raise InvalidInputError(f"a name cannot contain {ID_PREFIX}, so that nobody mistakes it for an id")
    return name


def _one_line(text: str, *, limit: int) -> str:
    # Names are shown in double quotes. Without a double quote inside, no name can seem to end early.
    return clean(text, limit=limit).replace('"', "'")


def has_record() -> bool:
    """Return whether there is a record, in which batches may have names."""
    path = record_path()
    return path is not None and os.path.isfile(path)


def with_names(batches: Sequence[MessageBatch]) -> list[MessageBatch]:
    """Return the batches with the names that they have in the record; without, where it cannot be read."""
    found: dict[str, str] = {}
    if batches and has_record():
        import sqlite3

        with contextlib.suppress(sqlite3.Error), _opened() as record:
            found = names_in(record, [batch.id for batch in batches])
    return [batch.with_context(name=found[batch.id]) if batch.id in found else batch for batch in batches]


@contextlib.contextmanager
def _opened() -> "Iterator[sqlite3.Connection]":
    import sqlite3

    path = str(record_path())
    # SQLite would create the two files of its journal, unless it is told that nobody is writing.
    still = "" if os.path.exists(f"{path}-wal") else "&immutable=1"
    uri = f"{Path(path).absolute().as_uri()}?mode=ro{still}"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE)) as record:
        record.text_factory = lambda text: text.decode("utf-8", "replace")  # a broken name hides no other
        yield record


def names_in(record: "sqlite3.Connection", ids: Iterable[str]) -> dict[str, str]:
    """Return the names that an open record has for these batches, safe to show whoever wrote them."""
    query = "SELECT substr(name, 1, 1000) FROM batches WHERE id = ?"
    found = ((one, record.execute(query, (one,)).fetchone()) for one in ids)
    names = ((one, _one_line(row[0], limit=NAME_LIMIT)) for one, row in found if row and isinstance(row[0], str))
    return {one: name for one, name in names if name and ID_PREFIX not in name}
