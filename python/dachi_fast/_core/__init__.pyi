"""The compiled core."""

from dachi_fast._core import codec as codec
from dachi_fast._core import embed as embed
from dachi_fast._core import keys as keys
from dachi_fast._core import learn as learn
from dachi_fast._core import ledger as ledger
from dachi_fast._core import state as state
from dachi_fast._core import store as store
from dachi_fast._core import vector as vector
