"""``python -m cancel_message_batch``: the command line."""

import sys

from .cli.main import main

sys.exit(main())
