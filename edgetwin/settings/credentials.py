"""Floor: secrets from systemd's credentials directory, and from nowhere else.

In: the environment, for $CREDENTIALS_DIRECTORY     Out: Given, and faults that never show a value.
Reads one small file per secret; a file that is not there is a secret that is not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgetwin.errors import Fault
from edgetwin.settings.keys import Given, KeyPath
from edgetwin.settings.tree import CREDENTIALS

DIRECTORY = "CREDENTIALS_DIRECTORY"
_FILE_MAX_BYTES = 65_536


def read(environ: Mapping[str, str]) -> tuple[list[Given], list[Fault]]:
    """Return the secrets that are set, and what is wrong with their files."""
    given: list[Given] = []
    faults: list[Fault] = []
    directory = environ.get(DIRECTORY)
    if not directory:
        return given, faults
    for path, name in CREDENTIALS.items():
        where = f"credentials: {name}"
        try:
            with (Path(directory) / name).open("rb") as file:
                text = file.read(_FILE_MAX_BYTES).decode()
        except FileNotFoundError:
            continue
        except UnicodeDecodeError:
            faults.append(Fault(where, "is not UTF-8", "write the file as UTF-8 text"))
            continue
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a path"
            faults.append(Fault(where, f"cannot be read ({reason})", f"hand it over with LoadCredential={name}:..."))
            continue
        text = text.removesuffix("\n").removesuffix("\r")  # what an editor adds
        if text.isprintable():
            given.append(Given(path, text, where))
        else:
            faults.append(Fault(where, "is not one line of text", "write the bare secret into the file"))
    return given, faults


def misplaced(path: KeyPath, where: str) -> Fault | None:
    """Return the fault of a secret that stands elsewhere, or None where `path` is no secret."""
    name = next((name for secret, name in CREDENTIALS.items() if path[: len(secret)] == secret), None)
    if name is None:
        return None
    file = f"/etc/edgetwin/credentials/{name.replace('_', '/', 1)}"
    cure = f"put it into {file}, which the service hands over as the systemd credential {name}"
    return Fault(where, "is a secret, and is taken from $CREDENTIALS_DIRECTORY only", cure)
