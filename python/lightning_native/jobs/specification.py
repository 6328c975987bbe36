"""A specification of a job's part: its keys and values as written, under the names of YAML and of Python."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, PrivateAttr

from lightning_native.user_input.yaml_document import did_you_mean

Self = TypeVar("Self", bound="Specification")


class Specification(BaseModel):
    """Keys and values as written; unknown keys are kept."""

    # Other spellings of a key.
    _aliases: ClassVar[dict[str, str]] = {}
    # Fields whose Python name is no spelling of the key.
    _only_in_yaml: ClassVar[frozenset[str]] = frozenset()

    _unknown: dict[str, Any] = PrivateAttr(default_factory=dict)

    def __init__(self, spec: Mapping[str, Any] | None = None, /, **keys: Any) -> None:
        """Accept a specification, keys, or both; a keyword goes before the specification's key.

        Raises:
            AttributeError: the specification is no mapping.
        """
        given = {**self._standard(spec or {}), **self._standard(keys)}
        known = {field.alias or name for name, field in type(self).model_fields.items()}
        super().__init__(**{key: value for key, value in given.items() if key in known})
        self._unknown = {key: value for key, value in given.items() if key not in known}

    @classmethod
    def from_spec(cls: type[Self], spec: Mapping[str, Any] | None) -> Self:
        """Return the object that a specification describes; the specification is not changed.

        Raises:
            AttributeError: the specification is no mapping.
        """
        return cls(spec)

    @classmethod
    def _standard(cls, spec: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(spec, Mapping):
            raise AttributeError(f"a specification is a mapping of keys to values, not {spec!r}")
        names = {
            name: field.alias
            for name, field in cls.model_fields.items()
            if field.alias is not None and name not in cls._only_in_yaml
        }
        renamed = {key: value for key, value in spec.items() if key not in names and key not in cls._aliases}
        for spelling in (cls._aliases, names):
            renamed |= {key: spec[other] for other, key in spelling.items() if other in spec}
        return renamed

    def to_spec(self) -> dict[str, Any]:
        """Return a copy of the specification, with the keys of the YAML form."""
        known = {
            field.alias or name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if name in self.model_fields_set
        }
        return deepcopy({**known, **self._unknown})

    @property
    def unknown_keys(self) -> tuple[str, ...]:
        """The unknown keys, which are kept."""
        return tuple(self._unknown)

    @classmethod
    def hint(cls, key: str) -> str:
        """Return a hint about an unknown key: the nearest ones, or all."""
        names = (field.alias or name for name, field in cls.model_fields.items())
        return did_you_mean(key, names, "the keys are")

    def _set(self: Self, **fields: Any) -> Self:
        for name, value in fields.items():
            setattr(self, name, value)
        return self
