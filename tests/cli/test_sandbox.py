"""`sandbox`: the server in the foreground."""

import re
import signal
import socket
import subprocess

from tests.conftest import PROGRAM, Run


def test_the_sandbox_says_where_it_is_and_reports_a_port_in_use(run: Run) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        done = run("sandbox", "--port", str(used.getsockname()[1]))
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
    command = [*PROGRAM, "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        printed = process.stdout.readline()
        assert re.search(r"http://(127\.0\.0\.1|localhost):\d+", printed)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode in {0, 130}
