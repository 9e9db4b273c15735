"""Key providers: what wraps a store's root key."""

import typing as _typing
from importlib import import_module as _import_module

from dachi_fast.keys._file import KeyFile as KeyFile

if _typing.TYPE_CHECKING:
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


def __getattr__(name: str) -> _typing.Any:
    if name in _LATE:
        found = getattr(_import_module(f"dachi_fast.keys.{_LATE[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
