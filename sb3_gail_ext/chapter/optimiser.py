"""Adam with Keras' arithmetic."""

from __future__ import annotations

import math
from typing import Any

import torch as th


class KerasAdam(th.optim.Adam):
    """Adam as ``tf.keras.optimizers.Adam`` computes it, to follow the chapter number by number.

    Keras adds its epsilon to the root of the *uncorrected* second moment ("epsilon hat" in the
    paper, https://arxiv.org/abs/1412.6980, section 2), torch to the corrected one::

        Keras:  lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)
        torch:  lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)

    They are equal for ``eps = epsilon / sqrt(1 - b2^t)``, which is set anew at each step t: 32
    times epsilon at the first, epsilon in the end.
    """

    def __init__(self, params: Any, lr: float = 1e-3, eps: float = 1e-7, **kwargs: Any) -> None:
        """
        :param eps: Keras' epsilon, 1e-7 by default as there
        """
        super().__init__(params, lr=lr, eps=eps, **kwargs)
        self.keras_epsilon = eps

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            seen = [int(self.state[p]["step"]) for p in group["params"] if p in self.state]
            t = max(seen, default=0) + 1
            group["eps"] = self.keras_epsilon / math.sqrt(1 - group["betas"][1] ** t)
        return super().step(closure)
