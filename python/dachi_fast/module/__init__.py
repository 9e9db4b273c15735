"""Modules: declared fields, walks over trees, flat state."""

from dachi_fast.module._base import BaseModule as BaseModule
from dachi_fast.module._fields import Attr as Attr
from dachi_fast.module._fields import Layout as Layout
from dachi_fast.module._fields import Param as Param
from dachi_fast.module._fields import Shared as Shared
from dachi_fast.module._layout import layout_of as layout_of
from dachi_fast.module._load import load_owned as load_owned
from dachi_fast.module._shared import shared_name as shared_name
