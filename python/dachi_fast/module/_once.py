"""The lock under which threads make what there is once for a class or a module."""

from __future__ import annotations

import os
import threading
from typing import Final

# Reentrant: making a schema runs code of the user's classes, which may ask for ids and schemas.
ONCE: Final = threading.RLock()

if hasattr(os, "register_at_fork"):  # a child of a fork has none of the threads that may hold it
    os.register_at_fork(
        before=ONCE.acquire, after_in_parent=ONCE.release, after_in_child=ONCE.release
    )
