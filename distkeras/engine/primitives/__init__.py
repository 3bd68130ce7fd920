"""The primitives, by kind. Each file declares entries of the one table,
`engine.primitive.PRIMITIVES`."""

from distkeras.engine.primitives.activation import elu, leaky_relu
from distkeras.engine.primitives.convolution import conv, conv_input_grad, conv_weight_grad
from distkeras.engine.primitives.creation import arange, eye, full, full_like, zeros
from distkeras.engine.primitives.crossentropy import (
    binary_cross_entropy,
    probability_cross_entropy,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
    sparse_probability_cross_entropy,
    sparse_softmax_cross_entropy,
)
from distkeras.engine.primitives.elementwise import *  # noqa: F403
from distkeras.engine.primitives.elementwise import add, cast, multiply, scale, where
from distkeras.engine.primitives.index import (
    argmax,
    argmin,
    argsort,
    gather,
    index,
    index_add,
    nonzero,
    put_slice,
    scatter_rows,
    slice_,
    sort,
    take_along_axis,
    top_k,
)
from distkeras.engine.primitives.library import cholesky, det, eigh, inv, qr, solve, svd
from distkeras.engine.primitives.linalg import einsum, matmul
from distkeras.engine.primitives.normalization import standardize
from distkeras.engine.primitives.pooling import (
    avg_pool,
    avg_pool_grad,
    max_pool,
    max_pool_grad,
    max_pool_pick,
)
from distkeras.engine.primitives.random import (
    dropout_mask,
    masked_scale,
    random_bits,
    random_integers,
    random_normal,
    random_truncated_normal,
    random_uniform,
)
from distkeras.engine.primitives.random_library import (
    random_binomial,
    random_categorical,
    random_gamma,
)
from distkeras.engine.primitives.recurrent import gru_step, lstm_step
from distkeras.engine.primitives.reduce import (
    cumprod,
    cumsum,
    reduce_all,
    reduce_any,
    reduce_max,
    reduce_min,
    reduce_prod,
    reduce_sum,
    sum_to,
)
from distkeras.engine.primitives.resampling import resample, resample_grad
from distkeras.engine.primitives.shape import (
    broadcast_to,
    concatenate,
    identity,
    pad,
    reshape,
    stack,
    stop_gradient,
    transpose,
    unstack,
)
from distkeras.engine.primitives.softmax import log_softmax, softmax
