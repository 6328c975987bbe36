"""Options that mean the same before an action, after it and in between: `schedules --local list`."""

import argparse
import copy

SHARED = ("--local", "--json", "--yes", "--root")

# The options of the action that was chosen, in the namespace that parsing returns.
_TAKEN = "options_of_the_action"


def share_options(parser: argparse.ArgumentParser) -> None:
    """Have each option that an action takes count wherever it is given.

    argparse parses an action into a namespace of its own and then copies it over what came before the action,
    defaults included; so an option that is declared before has no default after.
    """
    own = _options(parser)
    parser.set_defaults(**{_TAKEN: frozenset(own)})
    actions = _action_parsers(parser)
    for action in actions:
        share_options(action)
    for name in SHARED:
        below = [_options(action)[name] for action in actions if name in _options(action)]
        if below and name not in own:
            # No public way declares an option as another parser has it.
            parser._add_action(copy.copy(below[0]))
    declared = {option.dest for option in _options(parser).values()}
    for action in actions:
        for option in _options(action).values():
            if option.dest in declared:
                option.default = argparse.SUPPRESS


def check_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with a usage error where an option before an action is none of the action's."""
    for name in SHARED:
        option = _options(parser).get(name)
        if option and name not in getattr(args, _TAKEN) and getattr(args, option.dest) != option.default:
            parser.error(f"this action takes no {name}")


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {name: action for action in parser._actions for name in action.option_strings if name.startswith("--")}


def _action_parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    return [
        choice
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for choice in dict.fromkeys(action.choices.values())
    ]
