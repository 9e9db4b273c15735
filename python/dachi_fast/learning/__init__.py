"""Learners: modules that choose, and learn what their choices bring."""

from dachi_fast.learning._agent import BaseAgent as BaseAgent
from dachi_fast.learning._decision import Decision as Decision
from dachi_fast.learning._decision import Experience as Experience
from dachi_fast.learning._influence import Influence as Influence
from dachi_fast.learning._learner import Learner as Learner
from dachi_fast.learning._linear import EpsilonGreedy as EpsilonGreedy
from dachi_fast.learning._linear import Linear as Linear
from dachi_fast.learning._linear import LinTS as LinTS
from dachi_fast.learning._linear import LinUCB as LinUCB
from dachi_fast.learning._mixin import Decide as Decide
from dachi_fast.learning._mixin import NeuralLearningMixin as NeuralLearningMixin
from dachi_fast.learning._policy import SoftmaxPolicy as SoftmaxPolicy
from dachi_fast.learning._saved import NeuralState as NeuralState
from dachi_fast.learning._saved import Restored as Restored
from dachi_fast.learning._search import By as By
from dachi_fast.learning._search import PastState as PastState
from dachi_fast.learning._sync import SyncAgent as SyncAgent
from dachi_fast.learning._sync import SyncLearning as SyncLearning
from dachi_fast.learning._unlearn import Unlearned as Unlearned
