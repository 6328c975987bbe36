"""The YAML of jobs, with the types of YAML 1.1, as in ADS, and with bounds on its expansion."""

from typing import Any

import yaml

from lightning_native.errors import JobError
from lightning_native.user_input.yaml_document import DEEPEST, MOST_VALUES, BoundedLoader


class _Loader(BoundedLoader):
    """A loader that refuses a mapping whose merges make it too large."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Add its merged mappings to a mapping."""
        super().flatten_mapping(node)
        if len(node.value) > MOST_VALUES:
            line = node.start_mark.line + 1
            raise JobError(f"the mapping in line {line} has more than {MOST_VALUES} values; are there nested merges?")


def read_job_yaml(text: str) -> Any:
    """Return the data of a YAML text.

    Raises:
        JobError: it expands to too much, or a value is not of its tag's type.
        yaml.YAMLError: it is no YAML.
        ValueError: a number or a date is malformed.
    """
    try:
        # Safe, because the loader creates plain data only.
        value = yaml.load(text, _Loader)  # noqa: S506  see above
    except RecursionError as error:
        raise JobError(f"values are nested more than {DEEPEST} deep") from error
    except (ValueError, JobError):
        raise
    except (LookupError, AttributeError, TypeError, ArithmeticError) as error:
        # The loader does not check that a value with a tag is of that type.
        raise JobError(f"a value is not of the type that its tag says ({error!r}); remove the tag") from error
    check_extent(value)
    return value


def check_extent(value: Any) -> None:
    """Refuse data that is too large when written out, or that contains itself.

    Raises:
        JobError: it is, or does.
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
