"""`lightning-native init`: flavor, orchestrator and stack in ZenML, for the local cloud or an account."""

import argparse
import os
import sys

from lightning_native.cli.options.confirmation import add_yes_option
from lightning_native.errors import LightningNativeError, UsageError
from lightning_native.lightning.credentials import Credentials
from lightning_native.terminal import ask, can_ask

EXAMPLE = "lightning-native init --local"
_LOCAL, _ACCOUNT = "local-cloud", "lightning"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--local", action="store_true", help="a stack on the local cloud, without an account")
    place.add_argument("--account", action="store_true", help="a stack on Lightning AI, with the credentials set here")
    parser.add_argument("--name", help=f"of stack and orchestrator (default: {_LOCAL} or {_ACCOUNT})")
    parser.add_argument(
        "--artifact-store", metavar="NAME", help="of the stack (default: default; remote with an account)"
    )
    add_yes_option(parser)


def run(args: argparse.Namespace) -> int:
    """Register what is missing, make the stack active, and show what to do next."""
    account = args.account or (not args.local and _wants_account(yes=args.yes))
    os.environ.setdefault("ZENML_ANALYTICS_OPT_IN", "false")
    # ZenML prints a line for each thing that it creates.
    os.environ.setdefault("ZENML_LOGGING_VERBOSITY", "WARN")
    configuration = _of_account() if account else {"cloud": "local"}
    from lightning_native.zenml import stacks

    store = args.artifact_store or (
        _remote_store(stacks.remote_artifact_stores(), yes=args.yes) if account else "default"
    )
    for kind in stacks.register_flavors():
        print(f"registered the {kind} flavor {stacks.FLAVOR_NAME}")
    name = args.name or (_ACCOUNT if account else _LOCAL)
    if stacks.has_stack(name):
        print(f"stack {name} is there already")
    else:
        stacks.register_stack(name, configuration, store)
        print(f"registered stack {name}: orchestrator {name}, artifact store {store}")
    stacks.activate_stack(name)
    print(f"stack {name} is active now; your pipelines run on {'Lightning AI' if account else 'the local cloud'}")
    print("next: python your_pipeline.py, or first of all: lightning-native doctor" + ("" if account else " --local"))
    return 0


def _wants_account(*, yes: bool) -> bool:
    """Return whether the person here wants a stack on an account."""
    if yes:
        return False
    if not can_ask():
        raise UsageError(
            "this asks where pipelines are to run, and there is no terminal to ask on; say --local or --account"
        )
    answer = ask("Where are your pipelines to run: on the local cloud, or with your account on Lightning AI? [L/a] ")
    return answer.startswith("a")


def _of_account() -> dict[str, str]:
    """Return the configuration of an orchestrator with the credentials of the environment, without its secrets.

    Raises:
        CredentialsError: credentials are missing.
    """
    credentials = Credentials.from_environment(os.environ)
    credentials.environ()
    named = {
        "teamspace": credentials.teamspace,
        "username": None if credentials.organization else credentials.username,
        "organization": credentials.organization,
    }
    return {name: value for name, value in named.items() if value}


def _remote_store(stores: list[str], *, yes: bool) -> str:
    """Return the artifact store of a stack on an account.

    Raises:
        LightningNativeError: there is none that Lightning's machines can reach.
    """
    if not stores:
        raise LightningNativeError(
            "there is no artifact store that Lightning's machines can reach; register one first, such as: "
            "zenml artifact-store register my-artifact-store -f s3 --path=s3://my-bucket"
        )
    if len(stores) == 1 or yes or not can_ask():
        return stores[0]
    sys.stderr.write(f"artifact stores: {', '.join(stores)}\n")
    answer = ask(f"Which of them? [{stores[0]}] ")
    return next((store for store in stores if store.lower() == answer), stores[0])
