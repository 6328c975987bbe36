"""Options that mean the same before an action, after it and in between: `schedules --local list`."""

import argparse
import copy

SHARED = ("--local", "--json", "--yes", "--root")

# The attribute of the parsed namespace with the options of the chosen action.
_TAKEN = "options_of_the_action"


def share_options(parser: argparse.ArgumentParser) -> None:
    """Accept each option of an action before the action as well as after it.

    argparse parses an action into a namespace of its own and then copies that, defaults included, over the values from
    before the action; so an option that is declared before the action has no default in it.
    """
    own = _options(parser)
    parser.set_defaults(**{_TAKEN: frozenset(own)})
    actions = _action_parsers(parser)
    for action in actions:
        share_options(action)
    for name in SHARED:
        below = [_options(action)[name] for action in actions if name in _options(action)]
        if below and name not in own:
            # argparse has no public way to declare the same option in another parser.
            parser._add_action(copy.copy(below[0]))
    declared = {option.dest for option in _options(parser).values()}
    for action in actions:
        for option in _options(action).values():
            if option.dest in declared:
                option.default = argparse.SUPPRESS


def check_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with a usage error if an option before the action does not belong to it."""
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
