"""Roof: `edgetwin doctor`: begin with `command`; `findings` says what a check returns; the others look."""
