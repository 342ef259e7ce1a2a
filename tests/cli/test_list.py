"""`list`."""

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import Run


def test_list_fits_eighty_columns_and_never_cuts_an_id(sandbox: Sandbox, run: Run) -> None:
    done = run("list")
    assert done.returncode == 0
    assert EXAMPLE_ID in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    narrow = run("list", COLUMNS="40")
    assert EXAMPLE_ID in narrow.stdout
    assert max(map(len, narrow.stdout.splitlines())) <= 40
