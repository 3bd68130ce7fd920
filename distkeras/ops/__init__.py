"""`keras.ops`: operations on tensors, by composition over the engine's primitives."""

from distkeras.ops import (
    image,
    operators,  # gives tensors their operators
)
from distkeras.ops.binary import *  # noqa: F403
from distkeras.ops.choosing import *  # noqa: F403
from distkeras.ops.core import *  # noqa: F403
from distkeras.ops.diagonals import *  # noqa: F403
from distkeras.ops.making import *  # noqa: F403
from distkeras.ops.nn_activations import *  # noqa: F403
from distkeras.ops.nn_conv import *  # noqa: F403
from distkeras.ops.nn_losses import *  # noqa: F403
from distkeras.ops.padding import *  # noqa: F403
from distkeras.ops.picking import *  # noqa: F403
from distkeras.ops.products import *  # noqa: F403
from distkeras.ops.reductions import *  # noqa: F403
from distkeras.ops.shaping import *  # noqa: F403
from distkeras.ops.unary import *  # noqa: F403
