"""A strict array module: NumPy underneath, CuPy's manners on top.

`StrictArray` refuses what `cupy.ndarray` refuses: implicit conversion to NumPy, NumPy arrays among
its operands, arrays of another device, Python's implicit conversions. The module has only functions
that CuPy 14 has. Device code that runs on it makes no hidden transfer and names nothing that CuPy
lacks; whether a GPU computes the same is another matter.
"""

import numpy as np

from distkeras.devices.base import Device

# Names of `cupy` (14.0) that primitives may use; a new one is checked against CuPy's API before it
# is added.
CUPY_FUNCTIONS = frozenset(
    """abs absolute add all amax amin any arange arccos arccosh arcsin arcsinh arctan arctan2
    arctanh argmax argmin argsort around array asarray ascontiguousarray bincount bitwise_and
    bitwise_or bitwise_xor broadcast_to cbrt ceil clip concatenate conj copysign cos cosh cross
    cumprod cumsum diag diagonal divide divmod dot einsum empty empty_like equal exp exp2
    expand_dims expm1 eye flip floor floor_divide fmax fmin fmod full full_like gcd greater
    greater_equal heaviside hypot imag indices invert isfinite isinf isnan kron left_shift less
    less_equal linspace log log10 log1p log2 logaddexp logical_and logical_not logical_or
    logical_xor matmul max maximum mean median meshgrid min minimum mod moveaxis multiply
    negative nextafter nonzero not_equal ones ones_like outer pad power prod put ravel real
    reciprocal remainder repeat reshape right_shift rint roll round searchsorted sign signbit
    sin sinh sort split sqrt square squeeze stack std subtract sum swapaxes take take_along_axis
    tan tanh tensordot tile trace transpose tril triu true_divide trunc unique unravel_index var
    vdot where zeros zeros_like
    """.split()
)
CUPY_CONSTANTS = frozenset({"pi", "inf", "nan", "newaxis", "e"})
CUPY_LINALG = frozenset(
    "cholesky det eigh eigvalsh inv lstsq matrix_rank norm pinv qr slogdet solve svd".split()
)


class StrictError(TypeError):
    """What CuPy would refuse."""


class StrictArray:
    """An array of one strict device."""

    __slots__ = ("_a", "_device")
    __array_ufunc__ = None

    def __init__(self, array, device="strict"):
        self._a = np.asarray(array)
        self._device = device

    def __array__(self, *_, **__):
        raise StrictError("Implicit conversion to a NumPy array is not allowed; use to_host.")

    @property
    def shape(self):
        return self._a.shape

    @property
    def dtype(self):
        return self._a.dtype

    @property
    def ndim(self):
        return self._a.ndim

    @property
    def size(self):
        return self._a.size

    @property
    def itemsize(self):
        return self._a.itemsize

    @property
    def nbytes(self):
        return self._a.nbytes

    @property
    def strides(self):
        return self._a.strides

    @property
    def flags(self):
        return self._a.flags

    @property
    def T(self):
        return StrictArray(self._a.T, self._device)

    def __len__(self):
        return len(self._a)

    def __getitem__(self, key):
        return StrictArray(self._a[_inner(key, self._device)], self._device)

    def __setitem__(self, key, value):
        self._a[_inner(key, self._device)] = _inner(value, self._device)

    def __float__(self):
        return float(self._a)  # cupy transfers on request, as `float()` is one

    def __int__(self):
        return int(self._a)

    def __bool__(self):
        return bool(self._a)

    def __repr__(self):
        return f"StrictArray({self._a!r})"


def _inner(value, device):
    if isinstance(value, StrictArray):
        if value._device != device:
            raise StrictError(
                f"Array device must be same as the current device: {value._device} and {device}."
            )
        return value._a
    if isinstance(value, np.ndarray):
        raise StrictError(
            "Unsupported type <class 'numpy.ndarray'>: a NumPy array met a device array."
        )
    if isinstance(value, tuple):
        return tuple(_inner(v, device) for v in value)
    if isinstance(value, list):
        return [_inner(v, device) for v in value]
    return value


def _devices(values):
    for v in values:
        if isinstance(v, StrictArray):
            yield v._device
        elif isinstance(v, tuple | list):
            yield from _devices(v)


def _outer(value, device):
    if isinstance(value, np.ndarray | np.generic):
        return StrictArray(value, device)
    if isinstance(value, tuple | list):
        kind = type(value)
        items = [_outer(v, device) for v in value]
        return tuple(items) if hasattr(value, "_fields") or kind is tuple else items
    return value


def _wrap(function, default):
    def call(*args, **kwargs):
        device = next(_devices([*args, *kwargs.values()]), default)
        args = [_inner(a, device) for a in args]
        kwargs = {k: _inner(v, device) for k, v in kwargs.items()}
        return _outer(function(*args, **kwargs), device)

    return call


def _method(name):
    def call(self, *args, **kwargs):
        args = [_inner(a, self._device) for a in args]
        kwargs = {k: _inner(v, self._device) for k, v in kwargs.items()}
        return _outer(getattr(self._a, name)(*args, **kwargs), self._device)

    return call


for _name in (
    "__add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __floordiv__ "
    "__rfloordiv__ __mod__ __rmod__ __pow__ "
    "__rpow__ __matmul__ __and__ __or__ __xor__ __rand__ __ror__ __rxor__ __lshift__ __rshift__ "
    "__rlshift__ __rrshift__ __lt__ __le__ "
    "__gt__ __ge__ __eq__ __ne__ __neg__ __abs__ __invert__ __iadd__ __isub__ __imul__ "
    "__itruediv__ __iand__ __ior__ __ixor__ "
    "__irshift__ __ilshift__ astype reshape transpose copy sum max min mean all any argmax argmin "
    "view ravel squeeze swapaxes take "
    "argsort cumsum prod fill flatten"
).split():
    setattr(StrictArray, _name, _method(_name))
StrictArray.__hash__ = None  # type: ignore[assignment]


def _in_place(name):
    def call(self, other):
        getattr(self._a, name)(_inner(other, self._device))
        return self

    return call


for _name in (
    "__iadd__ __isub__ __imul__ __itruediv__ __iand__ __ior__ __ixor__ __irshift__ __ilshift__"
).split():
    setattr(StrictArray, _name, _in_place(_name))


class _Ufunc:
    """A function that also has `at`."""

    def __init__(self, function, device):
        self._call = _wrap(function, device)
        self._at = _wrap(function.at, device)

    def __call__(self, *args, **kwargs):
        return self._call(*args, **kwargs)

    def at(self, array, indices, values):
        self._at(array, indices, values)


class _Linalg:
    def __init__(self, device):
        self._device = device

    def __getattr__(self, name):
        if name not in CUPY_LINALG:
            raise AttributeError(f"cupy.linalg has no function '{name}'")
        return _wrap(getattr(np.linalg, name), self._device)


class _StrideTricks:
    def __init__(self, device):
        self.as_strided = _wrap(np.lib.stride_tricks.as_strided, device)
        self.sliding_window_view = _wrap(np.lib.stride_tricks.sliding_window_view, device)


class _Lib:
    def __init__(self, device):
        self.stride_tricks = _StrideTricks(device)


class StrictModule:
    """The array module of a strict device."""

    __name__ = "strict"

    def __init__(self, device="strict"):
        self._device = device
        self.linalg = _Linalg(device)
        self.lib = _Lib(device)

    def __getattr__(self, name):
        if name in CUPY_CONSTANTS:
            return getattr(np, name)
        if name not in CUPY_FUNCTIONS:
            raise AttributeError(f"cupy has no function '{name}' that primitives may use")
        function = getattr(np, name)
        if name in (
            "array",
            "asarray",
        ):  # cupy.asarray takes host arrays: a transfer that was asked for
            return lambda a, *args, **kw: StrictArray(
                function(a._a if isinstance(a, StrictArray) else a, *args, **kw), self._device
            )
        if name == "add":
            return _Ufunc(function, self._device)
        return _wrap(function, self._device)


class Strict(Device):
    """A device for tests: see the module's docstring."""

    array_type = StrictArray

    def __init__(self, name="strict"):
        self.name = name
        self.xp = StrictModule(name)

    def from_host(self, array, dtype=None):
        if isinstance(array, StrictArray):
            raise StrictError("from_host takes host arrays.")
        return StrictArray(np.array(array, dtype=dtype), self.name)

    def to_host(self, array):
        return np.array(array._a)

    def empty(self, size, dtype):
        return StrictArray(np.empty(size, dtype), self.name)

    def owns(self, array):
        return type(array) is StrictArray and array._device == self.name
