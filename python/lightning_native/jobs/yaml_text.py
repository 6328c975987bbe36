"""YAML of jobs, with the types of YAML 1.1, which is how ADS reads it, and with bounds on what it may become."""

from typing import Any

import yaml

from lightning_native.errors import JobError
from lightning_native.yaml_document import DEEPEST, MOST_VALUES, BoundedLoader


class _Loader(BoundedLoader):
    """The loader that ends when merges have made too much of a mapping."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Add to a mapping what it merges."""
        super().flatten_mapping(node)
        if len(node.value) > MOST_VALUES:
            line = node.start_mark.line + 1
            raise JobError(f"the mapping in line {line} has more than {MOST_VALUES} values; are there nested merges?")


def read_job_yaml(text: str) -> Any:
    """Return what a text says.

    Raises:
        JobError: it becomes too much, or has a value that is none of its type.
        yaml.YAMLError: it is no YAML.
        ValueError: a number or a date is none.
    """
    try:
        # Safe: the loader makes plain data only.
        value = yaml.load(text, _Loader)  # noqa: S506  see above
    except RecursionError as error:
        raise JobError(f"values are nested more than {DEEPEST} deep") from error
    except (ValueError, JobError):
        raise
    except (LookupError, AttributeError, TypeError, ArithmeticError) as error:
        # The loader takes it for granted that a value with a tag is of that type.
        raise JobError(f"a value is not of the type that its tag says ({error!r}); remove the tag") from error
    check_extent(value)
    return value


def check_extent(value: Any) -> None:
    """Refuse data that holds too much when all of it is written out, or itself.

    Raises:
        JobError: it does.
    """
    left = MOST_VALUES
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEEPEST:
            raise JobError(f"values are nested more than {DEEPEST} deep; does an alias stand for what holds it?")
        if isinstance(item, dict):
            inner = [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | set | frozenset):
            inner = list(item)
        else:
            continue
        left -= len(inner)
        if left < 0:
            raise JobError(f"there are more than {MOST_VALUES} values; are there nested aliases?")
        waiting += [(part, depth + 1) for part in inner]
