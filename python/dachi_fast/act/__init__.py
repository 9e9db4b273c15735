"""Behaviour trees: tasks, leaves and composites."""

from dachi_fast.act._leaf import Action as Action
from dachi_fast.act._leaf import Condition as Condition
from dachi_fast.act._parallel import Multi as Multi
from dachi_fast.act._parallel import Parallel as Parallel
from dachi_fast.act._serial import Composite as Composite
from dachi_fast.act._serial import Fallback as Fallback
from dachi_fast.act._serial import Selector as Selector
from dachi_fast.act._serial import Sequence as Sequence
from dachi_fast.act._status import TaskStatus as TaskStatus
from dachi_fast.act._task import Task as Task
