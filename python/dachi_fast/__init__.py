"""Memory for AI agents that learn."""

from dachi_fast.adapt import AdaptModule as AdaptModule
from dachi_fast.module import Attr as Attr
from dachi_fast.module import BaseModule as BaseModule
from dachi_fast.module import Param as Param
from dachi_fast.module import Shared as Shared
from dachi_fast.spec._registry import Registry as Registry
from dachi_fast.spec._registry import registry as registry
from dachi_fast.spec._spec import BaseSpec as BaseSpec
