"""`completion`: the scripts, run in the shells that are installed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cancel_message_batch.sandbox import Fault, Sandbox
from tests.cli.conftest import NAMES
from tests.conftest import Run, described, running


def test_completion_knows_every_command_and_its_flags(run: Run) -> None:
    def offered(*words: str) -> set[str]:
        shown = run("completion", "bash", "--words=" + "\x1f".join(["cancel-message-batch", *words])).stdout
        return {line.partition("\t")[0] for line in shown.splitlines()}

    assert offered("") >= set(NAMES)
    assert {"--older-than", "--dry-run", "--help"} <= offered("--")
    assert {"--older-than", "--limit"} <= offered("list", "--limit", "3", "--")
    assert "--dry-run" not in offered("list", "--")


_COMPLETES = {
    "bash": (
        'eval "$(cancel-message-batch completion bash)"\n'
        "COMP_WORDS=(cancel-message-batch {0}); COMP_CWORD={1}\n"
        "_cancel_message_batch; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    ),
    # zsh completes in an editor only: it gets one, on a terminal of its own, and lists what it would offer.
    "zsh": (
        "zmodload zsh/zpty; zpty z zsh -f -i\n"
        'zpty -w z \'PS1=; eval "$(cancel-message-batch completion zsh)"; compadd() {{ builtin compadd -O got "$@";'
        ' print -l -- "$got[@]" >> offered; print -l -- "$shown[@]" >> shown; builtin compadd "$@" }}; touch ready\'\n'
        "for n in {{1..300}}; do [[ -e ready ]] && break; sleep 0.1; done\n"
        "zpty -w -n z $'cancel-message-batch {0}\\t'\n"
        "for n in {{1..100}}; do [[ -s offered ]] && break; sleep 0.1; done; zpty -d z; cat offered"
    ),
    "fish": 'cancel-message-batch completion fish | source; complete -C "cancel-message-batch {0}" | tee shown',
}


def complete(shell: str, typed: str, where: Path) -> list[str]:
    """What a shell offers after what is typed."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed on this machine")
    script = _COMPLETES[shell].format(typed, len(typed.split(" ")))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shell, *(["-f"] if shell == "zsh" else []), "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=where,
        env={**os.environ, "PATH": path},
    )
    assert done.stderr == ""
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", _COMPLETES)
def test_a_shell_completes_commands_flags_and_the_ids_of_running_batches(
    sandbox: Sandbox, tmp_path: Path, shell: str
) -> None:
    (active,) = running(sandbox, 1)
    assert active in complete(shell, "status msgb", tmp_path)
    if shell != "zsh":  # which takes seconds for each
        assert "--dry-run" in complete(shell, f"{active} --d", tmp_path)
        assert "doctor" in complete(shell, "doc", tmp_path)
        assert complete(shell, "completion z", tmp_path) == ["zsh"]


@pytest.mark.parametrize("shell", _COMPLETES)
def test_a_shell_completes_the_values_of_a_flag(tmp_path: Path, shell: str) -> None:
    assert set(complete(shell, "list --status ", tmp_path)) == {"in_progress", "canceling", "ended"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_completed_id_carries_its_size_and_age(sandbox: Sandbox, tmp_path: Path, shell: str) -> None:
    (active,) = running(sandbox, 1)
    complete(shell, "status msgb", tmp_path)
    shown = re.sub(r"\t|  ", " ", (tmp_path / "shown").read_text())
    # The API's clock counts whole seconds, so ten minutes may read as nine and a bit.
    assert re.search(rf"^{active} 5,000 requests, (9|10)m old$", shown, re.MULTILINE)


@pytest.mark.parametrize("shell", _COMPLETES)
def test_completion_never_runs_what_the_api_answers(sandbox: Sandbox, tmp_path: Path, shell: str) -> None:
    (active,) = running(sandbox, 1)
    batch = described(active)
    evil = [
        batch | {"id": name} for name in ("msgbatch_$(touch$IFS''PWNED)x", "msgbatch_`touch PWNED`", "msgbatch_a b")
    ]
    sandbox.fail(Fault(match="GET", times=0, body={"data": [*evil, batch], "has_more": False}))
    assert set(complete(shell, "status msgb", tmp_path)) == {active}
    assert not (tmp_path / "PWNED").exists()


def test_zsh_takes_the_completion_before_it_has_set_up_its_own(run: Run, tmp_path: Path) -> None:
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed on this machine")
    script = run("completion", "zsh").stdout
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
