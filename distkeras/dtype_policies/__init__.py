"""Dtype policies: in which dtype a layer computes, and in which its variables are kept."""

from distkeras import config
from distkeras.errors import ConfigurationError

__all__ = ["DTypePolicy", "deserialize", "dtype_policy", "get", "serialize", "set_dtype_policy"]


_NAMES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128", "string",
)  # fmt: skip


class DTypePolicy:
    """The dtypes of a layer.

    Args:
        name: a dtype name for both, or `"mixed_float16"` / `"mixed_bfloat16"`: variables in
            float32, computation in half precision.

    Example:
        >>> policy = DTypePolicy("mixed_bfloat16")
        >>> policy.compute_dtype, policy.variable_dtype
        ('bfloat16', 'float32')
    """

    def __init__(self, name: str | None = None):
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str):
            raise ConfigurationError(
                f"'name' must be a string, such as 'mixed_float16'. Received: name={name!r}"
            )
        self._name = name
        if name in ("mixed_float16", "mixed_bfloat16"):
            self._compute_dtype, self._variable_dtype = name.removeprefix("mixed_"), "float32"
        else:
            if name not in _NAMES:
                raise ConfigurationError(
                    f"Cannot convert '{name}' to a mixed precision DTypePolicy. Valid policies "
                    "include 'mixed_float16', "
                    "'mixed_bfloat16', and the name of any dtype such as 'float32'."
                )
            self._compute_dtype = self._variable_dtype = name

    @property
    def name(self) -> str:
        """The policy's name."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The dtype of computations and outputs."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of variables."""
        return self._variable_dtype

    @property
    def quantization_mode(self):
        """Always `None`: there are no quantized policies."""
        return None

    def get_config(self) -> dict:
        """The arguments from which the policy can be made again."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict) -> "DTypePolicy":
        """A policy made from `get_config()`'s result."""
        return cls(config["name"])

    def __eq__(self, other):
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self):
        return hash(self._name)

    def __repr__(self):
        return f'<DTypePolicy "{self._name}">'


_DEFAULT: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The default policy of new layers; it follows `floatx()` unless it was set.

    Example:
        >>> dtype_policy().name
        'float32'
    """
    return _DEFAULT if _DEFAULT is not None else DTypePolicy(config.floatx())


def set_dtype_policy(policy: "str | DTypePolicy | None") -> None:
    """Set the default policy of new layers; `None` makes it follow `floatx()` again."""
    global _DEFAULT
    _DEFAULT = None if policy is None else get(policy)


def get(identifier) -> DTypePolicy:
    """A policy from a policy, a name, a dtype, a config or `None` (the default).

    Example:
        >>> get("float64").compute_dtype
        'float64'
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    return DTypePolicy(
        getattr(identifier, "name", None) or getattr(identifier, "__name__", str(identifier))
    )


def serialize(dtype_policy: DTypePolicy) -> dict:
    """A policy as Keras writes it into configurations."""
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": dtype_policy.get_config(),
        "registered_name": None,
    }


def deserialize(config: dict, custom_objects: dict | None = None) -> DTypePolicy:
    """The policy of a serialized configuration; `custom_objects` is accepted for Keras's sake."""
    inner = config.get("config", config)
    return DTypePolicy(inner["name"])
