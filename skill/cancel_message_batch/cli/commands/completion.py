"""``cancel-message-batch completion SHELL``: shell completion. Each script asks this command what fits."""

import argparse
from collections.abc import Iterator, Sequence

from cancel_message_batch.cli.arguments import open_batches
from cancel_message_batch.cli.exit_codes import ExitCode
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.parser import build_parser
from cancel_message_batch.cli.registry import COMMANDS, DEFAULT, Command, load

# None of them lets the shell expand or run what stands in a candidate. A description follows after a tab.
_SCRIPTS = {
    "bash": r"""
_cancel_message_batch() {
    local candidate words=("${COMP_WORDS[@]:0:COMP_CWORD}" "${COMP_WORDS[COMP_CWORD]}") IFS=$'\x1f'
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        [[ -n "$candidate" ]] && COMPREPLY+=("$candidate")
    done <<< "$(cancel-message-batch completion bash --words="${words[*]}" 2>/dev/null)"
}
complete -F _cancel_message_batch cancel-message-batch""",
    "zsh": r"""
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_cancel_message_batch() {
    local words=("${(@)words[1,CURRENT-1]}" "$PREFIX")
    local lines=(${(f)"$(cancel-message-batch completion zsh --words="${(pj:\x1f:)words}" 2>/dev/null)"})
    local candidates=(${lines%%$'\t'*}) shown=(${lines/$'\t'/  })
    (( $#candidates )) && compadd -l -d shown -- $candidates
}
compdef _cancel_message_batch cancel-message-batch""",
    "fish": r"""
function __cancel_message_batch
    set -l words (commandline -opc) (commandline -ct)
    cancel-message-batch completion fish --words=(string join -- \x1f $words) 2>/dev/null
end
complete -c cancel-message-batch -f -a '(__cancel_message_batch)'""",
}
_STATUSES = {"running": ("in_progress",), "any": ()}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(_SCRIPTS))
    parser.add_argument("--words", help=argparse.SUPPRESS)  # what is typed, each after a U+001F


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    if given.words is None:
        output.print(_SCRIPTS[given.shell].strip())
        return ExitCode.DONE
    _, *before, current = given.words.split("\x1f")
    for candidate in _candidates(before, current):
        if candidate.startswith(current):
            output.print(candidate)
    return ExitCode.DONE


def _candidates(before: Sequence[str], current: str) -> Iterator[str]:
    """Yield what can stand at the place of the current word; a description follows after a tab."""
    command = load(before[0] if before and before[0] in COMMANDS else DEFAULT)
    parser = build_parser(command)
    if current.startswith("-"):
        yield from (flag for flag in parser.flags() if flag.startswith("--"))
        return
    for action in parser.shown():
        if action.choices and (not action.option_strings or before[-1:] == action.option_strings):
            yield from map(str, action.choices)
            return
    if not before:
        yield from (f"{name}\t{one_line}" for name, one_line in COMMANDS.items())
    if command.completes and "msgbatch_".startswith(current[:9]):
        yield from _ids(_STATUSES[command.completes])


def _ids(statuses: Sequence[str]) -> Iterator[str]:
    """Yield the ids of the newest batches with their sizes and ages. If this fails, the script hides the message."""
    from cancel_message_batch.api.models import message_batch_id_fault
    from cancel_message_batch.cli.reports import size_and_age
    from cancel_message_batch.cli.selection import matching

    given = build_parser(load("list")).parse(["--timeout", "3s", "--max-retries", "0"])
    with open_batches(given) as batches:
        for batch in matching(batches, given, Output(quiet=True), *statuses, limit=50):
            if not message_batch_id_fault(batch.id):
                yield f"{batch.id}\t{size_and_age(batch)}"


COMMAND = Command(
    name="completion",
    about="Print a shell completion script; it completes the ids of running batches too.",
    examples=(
        'eval "$(cancel-message-batch completion bash)"  # in ~/.bashrc',
        'eval "$(cancel-message-batch completion zsh)"  # in ~/.zshrc',
        "cancel-message-batch completion fish | source  # in config.fish",
    ),
    arguments=_arguments,
    run=_run,
    exits={2: "wrong usage"},
)
