"""Train: the libraries that only training needs.

In: nothing     Out: nothing, or one refusal that names the extra.
"""

from __future__ import annotations

from importlib.util import find_spec

from edgetwin.errors import Fault, RefusedError

_CURE = "install them with: pip install 'edgetwin[train]'"


def require(*, plot: bool) -> None:
    """Refuse to begin without what training needs.

    Raises:
        RefusedError: A library is not installed.
    """
    wanted = {"sklearn": "scikit-learn", "skl2onnx": "skl2onnx", "onnx": "onnx"}
    if plot:
        wanted["matplotlib"] = "matplotlib"
    missing = [name for module, name in wanted.items() if find_spec(module) is None]
    if missing:
        raise RefusedError([Fault("train", f"not installed: {', '.join(missing)}", _CURE)])
