"""What only the real frameworks need."""

import pytest


@pytest.fixture
def certificates() -> None:
    """Keep this machine's certificates: frameworks may call their own services."""
