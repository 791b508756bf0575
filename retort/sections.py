"""The sections of run.toml that training methods bring: each is read by its method's own settings.

A method of the user's own is code, and reading a config must not run code that was not agreed to (trust.py). So its
section stays as it stands in the file until the training is prepared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError, create_model
from pydantic_core import InitErrorDetails

from agents.errors import ConfigError
from finetune.methods import methods, short
from finetune.settings import TrainConfig


def with_sections(given: Any, fields: frozenset[str], default: Sequence[str]) -> Any:
    """The tables of a file with a section for each training, read by its method.

    Args:
        given: what run.toml holds, or what a config is built of.
        fields: names of the sections that every config has.
        default: stages where the file names none.

    Raises:
        ValidationError: a key that is neither a field nor a method, or a section that its method does not take.
    """
    if not isinstance(given, Mapping):
        return given
    stages = stages_in(given, default)
    own = {short(stage) for stage in stages if ":" in stage}
    more = [name for name in given if name not in fields and name not in own]
    unknown = [InitErrorDetails(type="extra_forbidden", loc=(n,), input=given[n]) for n in more if n not in methods]
    if unknown:
        raise ValidationError.from_exception_data("RunConfig", unknown)
    named = [stage for stage in stages if ":" not in stage and stage in methods]
    kinds: dict[str, Any] = {name: methods.get(name).config for name in dict.fromkeys([*named, *more])}
    fields_of: dict[str, Any] = {name: (kind, kind()) for name, kind in kinds.items()}
    sections: Any = create_model("Sections", **fields_of)
    read = sections.model_validate({name: given[name] for name in kinds if name in given})
    return {**given, **{name: given.get(name, {}) for name in own}, **{name: getattr(read, name) for name in kinds}}


def stages_in(given: Mapping[str, Any], default: Sequence[str]) -> Sequence[str]:
    """The stages that a file names, before it is checked; what is no list of names is told by the field itself."""
    student = given.get("student")
    found = student.get("stages", default) if isinstance(student, Mapping) else getattr(student, "stages", default)
    if not isinstance(found, Sequence) or isinstance(found, str):
        return ()
    return [stage for stage in found if isinstance(stage, str)]


def settings_of(stage: str, section: Any) -> TrainConfig:
    """The settings of a training.

    Args:
        stage: a name of `methods`, or `/path/file.py:Class`, whose code is then run.
        section: what the config holds of it: settings that were read, or the file's own table.

    Raises:
        ConfigError: the method does not take the section, or there is no such method.
    """
    if isinstance(section, TrainConfig):
        return section
    kind = methods.get(stage).config
    try:
        return kind.model_validate(section or {})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in (short(stage), *first["loc"]))
        raise ConfigError(f"{place}: {first['msg']}") from None
