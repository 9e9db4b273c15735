"""Behaviour trees: tasks, leaves, composites, decorators, roots and state machines."""

from dachi_fast.act._decorator import AsLongAs as AsLongAs
from dachi_fast.act._decorator import Decorator as Decorator
from dachi_fast.act._decorator import Not as Not
from dachi_fast.act._decorator import PreemptCond as PreemptCond
from dachi_fast.act._decorator import Until as Until
from dachi_fast.act._leaf import Action as Action
from dachi_fast.act._leaf import Condition as Condition
from dachi_fast.act._leaf import WaitCondition as WaitCondition
from dachi_fast.act._machine import BranchState as BranchState
from dachi_fast.act._machine import State as State
from dachi_fast.act._machine import StateMachine as StateMachine
from dachi_fast.act._machine import TaskState as TaskState
from dachi_fast.act._parallel import Multi as Multi
from dachi_fast.act._parallel import Parallel as Parallel
from dachi_fast.act._process import AsyncProcess as AsyncProcess
from dachi_fast.act._process import Process as Process
from dachi_fast.act._root import BT as BT
from dachi_fast.act._serial import Composite as Composite
from dachi_fast.act._serial import Fallback as Fallback
from dachi_fast.act._serial import Selector as Selector
from dachi_fast.act._serial import Sequence as Sequence
from dachi_fast.act._status import TaskStatus as TaskStatus
from dachi_fast.act._task import Task as Task
from dachi_fast.act._timer import CountLimit as CountLimit
from dachi_fast.act._timer import FixedTimer as FixedTimer
from dachi_fast.act._timer import RandomTimer as RandomTimer
