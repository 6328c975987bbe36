"""`lightning-native completion`: the script by which a shell completes commands, options and runs."""

import argparse

from argcomplete.shell_integration import shellcode

EXAMPLE = 'eval "$(lightning-native completion bash)"'
_PLACES = """\
where to put it:
  bash  eval "$(lightning-native completion bash)"          in ~/.bashrc
  zsh   eval "$(lightning-native completion zsh)"           in ~/.zshrc, after compinit
  fish  lightning-native completion fish | source           in ~/.config/fish/config.fish
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = f"{parser.description}\n\n{_PLACES}"
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="bash, zsh or fish")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    print(shellcode(["lightning-native"], shell=args.shell))
    return 0
