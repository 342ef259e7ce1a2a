"""``cancel-message-batch completion SHELL``: shell completion, made from the commands themselves."""

import argparse

from cancel_message_batch.cli.exit_codes import ExitCode
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.parser import build_parser
from cancel_message_batch.cli.registry import COMMANDS, DEFAULT, PROGRAM, Command, load

_SHELLS = ("bash", "zsh", "fish")
_ANY_IDS = f"{PROGRAM} list --quiet --limit 50 --timeout 3s --max-retries 0 2>/dev/null"
_IDS = {"running": f"{_ANY_IDS} --status in_progress", "any": _ANY_IDS}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=_SHELLS)


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    commands = [load(name) for name in COMMANDS]
    output.print({"bash": _bash, "zsh": _zsh, "fish": _fish}[given.shell](commands))
    return ExitCode.DONE


def _flags(command: Command) -> list[str]:
    return [flag for flag in build_parser(command).flags() if flag.startswith("--")]


def _values(commands: list[Command]) -> dict[tuple[str, str], list[str]]:
    """Return the values that can be completed, by the name of the command and the flag; "" is no flag."""
    return {
        (command.name, next(iter(action.option_strings), "")): list(map(str, action.choices))
        for command in commands
        for action in build_parser(command).shown()
        if action.choices
    }


def _flags_cases(commands: list[Command]) -> str:
    """Return the branches of a shell's ``case`` that set the flags of each command."""
    cases = [f'{command.name}) flags="{" ".join(_flags(command))}" ;;' for command in commands]
    cases += [f'*) command={DEFAULT}; flags="{" ".join(_flags(load(DEFAULT)))}" ;;']
    return "\n".join(f"        {case}" for case in cases)


def _values_cases(commands: list[Command], use: str) -> str:
    """Return the branches of a shell's ``case`` that offer values, by the command and the word before."""
    return "\n".join(
        f'        "{name} {flag}"{"*" * (not flag)}) {use.format(" ".join(values))} ;;'
        for (name, flag), values in _values(commands).items()
    )


def _ids_cases(commands: list[Command], indent: str, use: str) -> str:
    """Return the branches of a shell's ``case`` that offer ids. ``use`` offers the output of a command line."""
    return "\n".join(
        f"{indent}{command.name}) {use.format(_IDS[command.completes])} ;;" for command in commands if command.completes
    )


def _bash(commands: list[Command]) -> str:
    names = "\\n".join(command.name for command in commands)  # \n as bash writes it
    return f"""\
_cancel_message_batch() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[1]}}" flags="" words="" values="" candidate
    case "$command" in
{_flags_cases(commands)}
    esac
    case "$command ${{COMP_WORDS[COMP_CWORD-1]}}" in
{_values_cases(commands, 'values="{}"')}
    esac
    if [[ "$word" == -* ]]; then words=${{flags// /$'\\n'}}
    elif [[ -n "$values" ]]; then words=${{values// /$'\\n'}}
    else
        case "$command" in
{_ids_cases(commands, "            ", 'words="$({})"')}
        esac
        [[ "$COMP_CWORD" -eq 1 ]] && words+=$'\\n{names}'
    fi
    # Not compgen -W, which would run what stands in a word.
    COMPREPLY=()
    while read -r candidate; do
        [[ -n "$candidate" && "$candidate" == "$word"* ]] && COMPREPLY+=("$candidate")
    done <<< "$words"
}}
complete -F _cancel_message_batch {PROGRAM}"""


def _zsh(commands: list[Command]) -> str:
    described = 'lines=(${{(f)"$({} --described)"}})'
    return f"""\
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
_cancel_message_batch() {{
    local command="${{words[2]}}" flags="" values="" lines=()
    case "$command" in
{_flags_cases(commands)}
    esac
    case "$command ${{words[CURRENT-1]}}" in
{_values_cases(commands, 'values="{}"')}
    esac
    if [[ "$PREFIX" == -* ]]; then compadd -- ${{=flags}}; return; fi
    if [[ -n "$values" ]]; then compadd -- ${{=values}}; return; fi
    case "$command" in
{_ids_cases(commands, "        ", described)}
    esac
    local ids=(${{lines%%$'\\t'*}}) shown=(${{lines/$'\\t'/  }})
    (( $#ids )) && compadd -l -d shown -- $ids
    (( CURRENT == 2 )) && compadd -- {" ".join(command.name for command in commands)}
}}
compdef _cancel_message_batch {PROGRAM}"""


def _fish(commands: list[Command]) -> str:
    others = " ".join(command.name for command in commands if command.name != DEFAULT)
    values = _values(commands)
    lines = [f"complete -c {PROGRAM} -f"]
    for command in commands:
        lines.append(f"complete -c {PROGRAM} -n __fish_use_subcommand -a {command.name} -d '{COMMANDS[command.name]}'")
        is_default = command.name == DEFAULT
        seen = f"{'not ' * is_default}__fish_seen_subcommand_from {others if is_default else command.name}"
        for flag in _flags(command):
            offered = values.get((command.name, flag))
            lines.append(
                f"complete -c {PROGRAM} -n '{seen}' -l {flag[2:]}"
                + (f" -x -a '{' '.join(offered)}'" if offered else "")
            )
        if command.completes:
            lines.append(f"complete -c {PROGRAM} -n '{seen}' -a '({_IDS[command.completes]} --described)'")
        if offered := values.get((command.name, "")):
            lines.append(f"complete -c {PROGRAM} -n '{seen}' -a '{' '.join(offered)}'")
    return "\n".join(lines)


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
