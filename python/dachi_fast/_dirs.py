"""The user's folders, after the XDG Base Directory Specification."""

from __future__ import annotations

import os
from pathlib import Path


def _folder(variable: str, fallback: str) -> Path:
    # The specification: a relative path in the variable is invalid and ignored.
    given = Path(os.environ.get(variable, ""))
    base = given if given.is_absolute() else Path.home() / fallback
    return base / "dachi_fast"


def config_folder() -> Path:
    """Where keys lie by default."""
    return _folder("XDG_CONFIG_HOME", ".config")


def data_folder() -> Path:
    """Where the default store lies."""
    return _folder("XDG_DATA_HOME", ".local/share")


def state_folder() -> Path:
    """Where witnesses lie by default."""
    return _folder("XDG_STATE_HOME", ".local/state")
