"""Shell completion, made from the command line's own parsers, so that it knows every command and flag."""

from .main import COMMANDS, PROGRAM, parser

_IDS = f"{PROGRAM} list --quiet --limit 50 --timeout 3s --max-retries 0 2>/dev/null"
# What can be canceled runs; what is looked at or waited for may be canceling, too.
_TAKE_IDS = {"cancel": f"{_IDS} --status in_progress", "status": _IDS, "wait": _IDS}


def script(shell: str) -> str:
    """Write the completion script for bash, zsh or fish. Ids are those of the running batches."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _flags(command: str) -> list[str]:
    return [name for action in parser(command)._actions for name in action.option_strings if name.startswith("--")]  # noqa: SLF001 - argparse tells its flags nowhere else


def _cases(indent: str) -> str:
    return "\n".join(f'{indent}{command}) flags="{" ".join(_flags(command))}" ;;' for command in COMMANDS)


def _ids_cases(indent: str, use: str) -> str:
    return "\n".join(f"{indent}{command}) {use.format(ids)} ;;" for command, ids in _TAKE_IDS.items())


def _bash() -> str:
    newline = "\\n"  # as bash writes it
    return f"""\
_cancel_message_batch() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[1]}}" flags="" words="" candidate
    case "$command" in
{_cases("        ")}
        *) command=cancel; flags="{" ".join(_flags("cancel"))}" ;;
    esac
    if [[ "$word" == -* ]]; then words=${{flags// /$'\\n'}}
    else
        case "$command" in
{_ids_cases("            ", 'words="$({})"')}
        esac
        [[ "$COMP_CWORD" -eq 1 ]] && words+=$'\\n{newline.join(COMMANDS)}'
        [[ "$command" == completion ]] && words=$'bash\\nzsh\\nfish'
    fi
    # Not compgen -W, which would run what stands in a word.
    COMPREPLY=()
    while read -r candidate; do
        [[ -n "$candidate" && "$candidate" == "$word"* ]] && COMPREPLY+=("$candidate")
    done <<< "$words"
}}
complete -F _cancel_message_batch {PROGRAM}"""


def _zsh() -> str:
    return f"""\
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
_cancel_message_batch() {{
    local command="${{words[2]}}" flags=""
    case "$command" in
{_cases("        ")}
        *) command=cancel; flags="{" ".join(_flags("cancel"))}" ;;
    esac
    if [[ "$PREFIX" == -* ]]; then compadd -- ${{=flags}}; return; fi
    case "$command" in
{_ids_cases("        ", 'compadd -- ${{(f)"$({})"}}')}
        completion) compadd -- bash zsh fish ;;
    esac
    (( CURRENT == 2 )) && compadd -- {" ".join(COMMANDS)}
}}
compdef _cancel_message_batch {PROGRAM}"""


def _fish() -> str:
    lines = [f"complete -c {PROGRAM} -f"]
    for command, what in COMMANDS.items():
        lines.append(f"complete -c {PROGRAM} -n __fish_use_subcommand -a {command} -d '{what}'")
        seen = (
            f"not __fish_seen_subcommand_from {' '.join(name for name in COMMANDS if name != 'cancel')}"
            if command == "cancel"
            else f"__fish_seen_subcommand_from {command}"
        )
        lines += [f"complete -c {PROGRAM} -n '{seen}' -l {flag[2:]}" for flag in _flags(command)]
        if command in _TAKE_IDS:
            lines.append(f"complete -c {PROGRAM} -n '{seen}' -a '({_TAKE_IDS[command]})'")
    lines.append(f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'")
    return "\n".join(lines)
