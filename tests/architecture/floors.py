"""The floors of the house, and who may name NumPy, CuPy and mpi4py, with reasons."""

from architecture.sources import PACKAGE, Import

# Imports point down (to a smaller number) or stay on their floor.
FLOORS = {
    **dict.fromkeys(("config", "errors", "registry", "utils"), 0),
    **dict.fromkeys(("devices", "kernels"), 1),
    "engine": 2,
    "compiler": 4,
    **dict.fromkeys(("backend", "distribution", "ops"), 5),
    **dict.fromkeys(
        (
            "activations",
            "constraints",
            "dtype_policies",
            "initializers",
            "layers",
            "losses",
            "metrics",
            "mixed_precision",
            "optimizers",
            "random",
            "regularizers",
        ),
        6,
    ),
    **dict.fromkeys(("data", "saving", "strategies"), 7),
    **dict.fromkeys(("callbacks", "telemetry", "training"), 8),
    **dict.fromkeys(("datasets", "models"), 9),
    **dict.fromkeys(("cli", "launch", "plugins"), 10),
}

HIGHEST_FLOOR_OF_ARRAY_MODULES = 5

# What stands here may use the package as its users do: every public name lies below.
FLOOR_OF_USERS = 10

# Above that floor these modules and packages name NumPy, for data on the host; never to compute on
# tensors.
HOST_DATA = {
    "callbacks": "logs, and the values that callbacks compare",
    "cli.probe": "buffers to measure messages with",
    "data": "adapters turn what a user passes into host arrays",
    "datasets": "load_data() returns NumPy arrays",
    "launch.digits": "a program as users write them",
    "saving": "file contents",
    "training": "batches and results at the border with the user",
}

# (importing module, imported name): the reason.
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("distkeras.config", "distkeras.dtype_policies"): (
        "Keras publishes dtype_policy() among the settings, and a policy is made of settings"
    ),
}


def floor(module: str) -> int | None:
    """The floor of `distkeras.x.y`, or None for a name that is in no table."""
    return FLOORS.get(module.split(".")[1]) if "." in module else None


def violations(found: list[Import]) -> list[str]:
    """The imports that break the rules, each with the rule."""
    broken = []
    for item in found:
        if item.module == PACKAGE or (item.module, item.target) in EXCEPTIONS:
            continue  # the package's own __init__ publishes names of every floor
        here, outside = floor(item.module), item.target.split(".")[0]
        assert here is not None, f"{item.module} is on no floor: give it one in floors.py"
        if item.target == f"{PACKAGE}.__version__":
            continue
        if outside == PACKAGE:
            there = floor(item.target)
            if there is None and here < FLOOR_OF_USERS:
                broken.append(f"{item}: name the module that defines it, not the public face")
            elif there is not None and there > here:
                broken.append(f"{item}: floor {here} must not know floor {there}")
        elif outside in ("cupy", "cupyx", "mpi4py"):
            if here > HIGHEST_FLOOR_OF_ARRAY_MODULES:
                broken.append(f"{item}: floor {here} is above the floors that may")
            elif item.top_level:
                broken.append(f"{item}: import it inside the function that needs it")
        elif outside == "numpy" and here > HIGHEST_FLOOR_OF_ARRAY_MODULES and not _host_data(item):
            broken.append(f"{item}: compute with distkeras.ops, or say in HOST_DATA why not")
    return broken


def _host_data(item: Import) -> bool:
    return any(f"{item.module}.".startswith(f"{PACKAGE}.{name}.") for name in HOST_DATA)
