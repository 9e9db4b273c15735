"""Writes `mabwiser.json`: what MABWiser's LinUCB and LinTS expect after a fixed log.

    pip install mabwiser==2.7.4 && python tests/vectors/learning/generate.py

MABWiser brings pandas, scikit-learn, seaborn and matplotlib, some 500 MB; so its answers are kept,
and the tests need none of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from mabwiser.mab import MAB, LearningPolicy

STEPS, DIMENSION, ACTIONS = 300, 9, 4
LOOKED_AT = (1, 10, 100, 300)


def answers(ridge: float, alpha: float) -> dict[str, Any]:
    drawn = np.random.default_rng(20_261_122)
    contexts = drawn.normal(size=(STEPS, DIMENSION)).round(6)
    actions = drawn.integers(ACTIONS, size=STEPS)
    rewards = drawn.random(STEPS).round(6)
    asked = drawn.normal(size=(3, DIMENSION)).round(6)
    arms = list(range(ACTIONS))
    ucb = MAB(arms, LearningPolicy.LinUCB(alpha=alpha, l2_lambda=ridge))
    ts = MAB(arms, LearningPolicy.LinTS(alpha=alpha, l2_lambda=ridge))
    looked: list[dict[str, Any]] = []
    for step in range(STEPS):
        log = [int(actions[step])], [float(rewards[step])], [contexts[step].tolist()]
        for learner in (ucb, ts):
            learner.partial_fit(*log) if step else learner.fit(*log)
        if step + 1 in LOOKED_AT:
            models = ts._imp.arm_to_model
            looked.append(
                {
                    "step": step + 1,
                    "upper_bounds": ucb.predict_expectations(asked.tolist()),
                    "means": [models[arm].beta.tolist() for arm in arms],
                    "covariances": [(alpha**2 * models[arm].A_inv).tolist() for arm in arms],
                }
            )
    return {
        "ridge": ridge,
        "alpha": alpha,
        "contexts": contexts.tolist(),
        "actions": actions.tolist(),
        "rewards": rewards.tolist(),
        "asked": asked.tolist(),
        "looked": looked,
    }


def main() -> None:
    found = [answers(1.0, 1.0), answers(0.3, 0.25)]
    Path(__file__).with_name("mabwiser.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
