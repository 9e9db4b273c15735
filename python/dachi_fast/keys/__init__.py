"""Key providers: what wraps a store's root key."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dachi_fast.keys._file import KeyFile as KeyFile

if TYPE_CHECKING:
    from dachi_fast.keys._env import EnvKey as EnvKey
    from dachi_fast.keys._keyring import KeyringKey as KeyringKey
    from dachi_fast.keys._kms import AwsKms as AwsKms
    from dachi_fast.keys._passphrase import Passphrase as Passphrase

# A process uses one provider, mostly the key file: the others are imported when first asked for.
_LATE = {
    "AwsKms": "_kms",
    "EnvKey": "_env",
    "KeyringKey": "_keyring",
    "Passphrase": "_passphrase",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        found = getattr(import_module(f"dachi_fast.keys.{_LATE[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
