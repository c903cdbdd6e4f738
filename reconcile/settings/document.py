"""A configuration file that can say where it is wrong.

Finds the line of a key (tomllib keeps none), and turns what pydantic objects to into one
sentence: file, line, key, what is allowed. Values are not repeated: some are secrets.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconcile.errors import ConfigurationError

Place = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

# What is wrong with a value, by pydantic's name for it -> what is allowed.
ALLOWED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "string_type": "a text in quotes",
    "string_too_short": "a text that is not empty",
    "tuple_type": "a list in brackets",
    "too_short": "a list that is not empty",
    "dict_type": "a table",
    "model_type": "a table",
    "missing": "it cannot be left out",
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "value_error": "{error}",
}

# Tables, and which of their keys name files.
FILES = {
    "tls": ("certificate", "key", "ca"),
    "audit": ("key_file", "certificate", "key", "ca"),
    "mail": ("password_file",),
    "notify": ("secret_file",),
    "auth": ("oidc_client_secret_file",),
    "destination": ("key_file",),
}


class Problem(NamedTuple):
    """A place ("source", 1, "domain") that is wrong, and what is allowed there."""

    place: Place
    allowed: str


@dataclass
class Document:
    """One TOML file as read, with what the environment says instead."""

    path: Path | None
    text: str = ""
    content: dict[str, Any] = field(default_factory=dict)
    overridden: dict[Place, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | None) -> Document:
        """Read and parse.

        Raises:
            ConfigurationError: there is no such file, or it is not TOML.
        """
        if path is None:
            return cls(None)
        try:
            text = path.read_text(encoding="utf-8")
            return cls(path, text, _with_absolute_paths(tomllib.loads(text), path.parent))
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{path}: not UTF-8, as TOML is") from error
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{path}: not TOML: {error}") from None

    def override(self, name: str, place: tuple[str, str], env: Mapping[str, str]) -> None:
        """Let the environment variable `name`, where it is set, stand above the file.

        Raises:
            ConfigurationError: the file that `NAME_FILE` names cannot be read.
        """
        value = _from_environment(name, env)
        table = self.content.setdefault(place[0], {})
        if value and isinstance(table, dict):
            table[place[1]] = value
            self.overridden[place] = name

    def validate(self, model: type[Model], **more: object) -> Model:
        """The content as `model`.

        Raises:
            ConfigurationError: the first place that is wrong.
        """
        given = sorted(set(self.content) & set(more))
        if given:
            raise self._error(Problem((given[0],), _keys(model, without=more)))
        try:
            return model.model_validate({**self.content, **more})
        except ValidationError as error:
            found = [_problem(model, each, more) for each in error.errors()]
            # Not `from error`: what pydantic says repeats the values.
            raise self._error(min(found, key=self._line)) from None

    def refuse_first(self, problems: Iterable[Problem]) -> None:
        """Raise ConfigurationError for the first problem, if there is one."""
        for problem in problems:
            raise self._error(problem)

    def _error(self, problem: Problem) -> ConfigurationError:
        said = f"{_spelled(problem.place)}: allowed is {problem.allowed}"
        if name := self.overridden.get(problem.place):
            return ConfigurationError(f"environment variable {name}, {said}")
        if self.path is None:
            return ConfigurationError(f"configuration, {said}")
        return ConfigurationError(f"{self.path}, line {self._line(problem)}, {said}")

    def _line(self, problem: Problem) -> int:
        return line_of(self.text, problem.place)


def line_of(text: str, place: Place) -> int:
    """Number of the line that says `place`, or else the most of it; the first is 1."""
    table: Place = ()
    counts: Counter[Place] = Counter()
    best, line = 0, 1
    for number, content in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)([^\[\]]+)\]", content):
            table = _split(header[2])
            if header[1] == "[[":
                counts[table] += 1
                table = (*table, counts[table] - 1)
            said = table
        elif key := re.match(r"\s*([\w.\"'-]+)\s*=", content):
            said = (*table, *_split(key[1]))
        else:
            continue
        if len(said) > best and place[: len(said)] == said:
            best, line = len(said), number
    return line


def _split(dotted: str) -> Place:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _spelled(place: Place) -> str:
    """("source", 1, "coerce") -> "[[source]] coerce"."""
    names = [part for part in place if isinstance(part, str)]
    if len(names) < 2:
        return f"[{'.'.join(names)}]"
    listed = len(place) > 1 and isinstance(place[1], int)
    table = f"[[{names[0]}]]" if listed else f"[{names[0]}]"
    return f"{table} {'.'.join(names[1:])}"


def _problem(
    model: type[BaseModel], error: ErrorDetails, more: Mapping[str, object]
) -> Problem:
    place = tuple(error["loc"])
    if error["type"] == "extra_forbidden":
        return Problem(place, _keys(_model_at(model, place[:-1]), without=more))
    allowed = ALLOWED.get(error["type"], "another value")
    return Problem(place, allowed.format(**error.get("ctx", {})))


def _keys(model: type[BaseModel], without: Iterable[str]) -> str:
    return "one of " + ", ".join(sorted(set(model.model_fields) - set(without)))


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel]:
    """The model of the table at `place`; of a list, that of its members."""
    for part in place:
        if isinstance(part, str) and part in model.model_fields:
            kind = model.model_fields[part].annotation
            member = (get_args(kind) or (kind,))[0]
            if isinstance(member, type) and issubclass(member, BaseModel):
                model = member
    return model


def _with_absolute_paths(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Files that are named in it are beside the configuration file."""
    for table, names in FILES.items():
        said = content.get(table)
        for each in said if isinstance(said, list) else [said]:
            for name in names:
                if (
                    isinstance(each, dict)
                    and isinstance(each.get(name), str)
                    and each[name]
                ):
                    each[name] = str(folder / each[name])
    return content


def _from_environment(name: str, env: Mapping[str, str]) -> str:
    """The value of `name`, or what is in the file that `name`_FILE names."""
    if env.get(name) or not env.get(f"{name}_FILE"):
        return env.get(name, "")
    path = Path(env[f"{name}_FILE"])
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"{name}_FILE: {path}: {error.strerror}") from error
