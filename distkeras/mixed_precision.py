"""`keras.mixed_precision`: other names for parts of `dtype_policies` and `optimizers`."""

from distkeras.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy
from distkeras.optimizers import LossScaleOptimizer

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy
