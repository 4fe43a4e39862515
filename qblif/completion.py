"""Command line: completion of the command ``qblif`` in a shell.

eval "$(qblif completion)"        # in ~/.bashrc; in zsh after: autoload -U +X bashcompinit && bashcompinit
"""

import sys

from qblif.errors import Arguments, command_line

SCRIPT = """\
# Completion of qblif: commands, and the options that each command's --help names.
declare -A _qblif_options
_qblif() {
  local word="${COMP_WORDS[COMP_CWORD]}" command="${COMP_WORDS[1]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "COMMANDS" -- "$word"))
  elif [[ "$word" == -* ]]; then
    if [ -z "${_qblif_options[$command]:-}" ]; then
      _qblif_options[$command]="$(qblif "$command" --help 2>/dev/null | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u)"
    fi
    COMPREPLY=($(compgen -W "${_qblif_options[$command]}" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}
complete -o filenames -F _qblif qblif
"""


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    Arguments(
        prog="python -m qblif.completion",
        description="Print the completion of qblif for bash, and for zsh with bashcompinit.",
        epilog='In ~/.bashrc: eval "$(qblif completion)"',
    ).parse_args(arguments)
    from qblif.command import COMMANDS

    print(SCRIPT.replace("COMMANDS", " ".join(COMMANDS)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
