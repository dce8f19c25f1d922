"""Make the manual pages and the bash completion: manual.txt, with the commands and the settings as they are.

In: manual.txt, the parser of the command, the tree of settings     Out: edgetwin.1, edgetwin.toml.5, edgetwin.
Run as `python debian/manual.py FOLDER`. What --help and the descriptions of the settings say is said nowhere else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson
from pydantic_core import PydanticUndefined

from edgetwin import __version__, cli
from edgetwin.settings import Settings
from edgetwin.settings.keys import expected, keys, section_in
from edgetwin.settings.values import Section

PROGRAM = "edgetwin"
TEXT = Path(__file__).with_name("manual.txt")
_EXAMPLE = "    "
_COMPLETION = """\
# bash completion of edgetwin; made by debian/manual.py.
_edgetwin() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{commands} --help --version"
    elif [[ "$word" == -* ]]; then
        case "${{COMP_WORDS[1]}}" in
{options}        esac
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -o filenames -F _edgetwin edgetwin
"""


class Command:
    """One command as --help knows it."""

    def __init__(self, name: str, summary: str, parser: argparse.ArgumentParser) -> None:
        self.name = name
        self.summary = summary
        self.actions = [action for action in parser._actions if action.dest != "help"]

    @property
    def options(self) -> list[str]:
        """Its options, all spellings."""
        return [option for action in self.actions for option in action.option_strings]


def commands() -> Iterator[Command]:
    """Yield every command; some fill their parser only when they are asked for."""
    for name in _subparsers(_parser("")).choices:
        chosen = _subparsers(_parser(name))
        summary = next(action.help or "" for action in chosen._choices_actions if action.dest == name)
        yield Command(name, summary, chosen.choices[name])


def _parser(command: str) -> argparse.ArgumentParser:
    kept, sys.argv = sys.argv, [PROGRAM, command]
    try:
        return cli._parser()
    finally:
        sys.argv = kept


def _subparsers(parser: argparse.ArgumentParser) -> Any:
    return next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def pages(text: str) -> dict[str, str]:
    """Return each page that the text holds, by the name of its file."""
    found: dict[str, str] = {}
    name = ""
    for block in text.strip().split("\n\n"):
        title, colon, summary = block.removeprefix("= ").partition(": ")
        if block.startswith("= ") and colon:
            name = ".".join(title.rsplit(" ", 1))
            page, section = title.rsplit(" ", 1)
            found[name] = f'.TH {page.upper()} {section} "" "edgetwin {__version__}" "edgetwin"\n'
            found[name] += f".SH NAME\n{page} \\- {escaped(summary)}\n"
        else:
            found[name] += _block(block)
    return found


def _block(block: str) -> str:
    if block == "@commands":
        return "".join(map(_command, commands()))
    if block == "@settings":
        return "".join(_sections(Settings, ""))
    if block.startswith("= "):
        return f".SH {block.removeprefix('= ')}\n"
    if block.startswith(_EXAMPLE):
        lines = "\n".join(escaped(line.removeprefix(_EXAMPLE)) for line in block.split("\n"))
        return f".PP\n.RS 4\n.nf\n{lines}\n.fi\n.RE\n"
    term, colons, meaning = block.replace("\n", " ").partition(" :: ")
    return _term(term, meaning) if colons else f".PP\n{escaped(term)}\n"


def _command(command: Command) -> str:
    usage = (f"[{_spelling(a)}]" if a.option_strings else _spelling(a) for a in command.actions)
    head = f".SS {escaped(' '.join([PROGRAM, command.name, *usage]))}\n.PP\n{escaped(_sentence(command.summary))}\n"
    return head + "".join(_term(_spelling(action), _sentence(action.help or "")) for action in command.actions)


def _spelling(action: argparse.Action) -> str:
    value = str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return value
    return ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {value}")


def _sections(section: type[Section], prefix: str) -> Iterator[str]:
    for key, field in keys(section).items():
        inner, named = section_in(field)
        if inner is None:
            continue
        name = f"{prefix}{key}" + (".NAME" if named else "")
        yield f".SH {escaped(f'[{name}]')}\n.PP\n{escaped(_sentence(field.description or ''))}\n"
        for inner_key, inner_field in keys(inner).items():
            yield _term(inner_key, " ".join(filter(None, _said(inner_field))))
        yield from _sections(inner, f"{name}.")


def _said(field: Any) -> Iterator[str]:
    yield _sentence(expected(field))
    if field.default is PydanticUndefined and field.default_factory is None:
        yield "No default."
    elif field.default_factory is None and field.default is not None:  # else the description says what holds
        yield f"Default {_value(field.default)}."
    yield _sentence(field.description or "")
    if field.examples:
        yield f"For example {_value(field.examples[0])}."


def _value(value: Any) -> str:
    if isinstance(value, Section):
        return "an empty table"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + " }"
    return orjson.dumps(str(value) if isinstance(value, (Path, StrEnum)) else value).decode()


def completion() -> str:
    """Return the bash completion."""
    found = list(commands())
    options = "".join(f'            {c.name}) words="{" ".join([*c.options, "--help"])}" ;;\n' for c in found)
    return _COMPLETION.format(commands=" ".join(c.name for c in found), options=options)


def _term(term: str, meaning: str) -> str:
    return f".TP\n.B {escaped(term)}\n{escaped(meaning)}\n"


def _sentence(text: str) -> str:
    stripped = text.replace("%%", "%").strip()
    return stripped[:1].upper() + stripped[1:] + ("" if not stripped or stripped.endswith(".") else ".")


def escaped(text: str) -> str:
    """Return text as roff takes it literally."""
    safe = text.replace("\n", " ").replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq")
    return f"\\&{safe}" if safe.startswith(".") else safe


def main(folder: Path) -> None:
    """Write all three."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages(TEXT.read_text(encoding="utf-8")) | {PROGRAM: completion()}
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
