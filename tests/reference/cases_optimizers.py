"""Optimizer configurations whose training runs are compared with Keras."""

from __future__ import annotations

BASES = {
    "sgd": ("SGD", {"learning_rate": 0.05}),
    "sgd_momentum": ("SGD", {"learning_rate": 0.02, "momentum": 0.9}),
    "sgd_nesterov": ("SGD", {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"learning_rate": 0.03}),
    "adam_amsgrad": ("Adam", {"learning_rate": 0.03, "amsgrad": True, "beta_2": 0.9}),
    "adamw": ("AdamW", {"learning_rate": 0.03}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.02}),
    "rmsprop_momentum": ("RMSprop", {"learning_rate": 0.01, "momentum": 0.8, "rho": 0.8}),
    "rmsprop_centered": ("RMSprop", {"learning_rate": 0.02, "centered": True}),
    "rmsprop_all": ("RMSprop", {"learning_rate": 0.01, "centered": True, "momentum": 0.5}),
    "adagrad": ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.2}),
}

VARIANTS = {
    "plain": {},
    "weight_decay": {"weight_decay": 0.05},
    "clipnorm": {"clipnorm": 0.3},
    "global_clipnorm": {"global_clipnorm": 0.4},
    "clipvalue": {"clipvalue": 0.1},
    "ema": {"use_ema": True, "ema_momentum": 0.8},
    "ema_overwrite": {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 6},
    "accumulate": {"gradient_accumulation_steps": 3},
    "accumulate_clip_decay": {
        "gradient_accumulation_steps": 3,
        "global_clipnorm": 0.5,
        "weight_decay": 0.05,
    },
    "accumulate_ema": {
        "gradient_accumulation_steps": 3,
        "use_ema": True,
        "ema_momentum": 0.6,
        "ema_overwrite_frequency": 6,
    },
    "exponential": ("ExponentialDecay", {"decay_steps": 5, "decay_rate": 0.5}),
    "exponential_staircase": (
        "ExponentialDecay",
        {"decay_steps": 4, "decay_rate": 0.6, "staircase": True},
    ),
    "cosine": ("CosineDecay", {"decay_steps": 15, "alpha": 0.1}),
    "cosine_warmup": ("CosineDecay", {"decay_steps": 10, "warmup_steps": 5, "warmup_target": 0.06}),
    "piecewise": ("PiecewiseConstantDecay", {"boundaries": [4, 11]}),
}

# Every base runs all the variants that change the gradient or the update; schedules need only one.
SCHEDULED = ("sgd_momentum", "adam")


def build(keras, base: str, variant: str):
    """Return a new optimizer of the module `keras`."""
    cls, arguments = BASES[base]
    arguments = dict(arguments)
    extra = VARIANTS[variant]
    if isinstance(extra, tuple):
        schedule, options = extra
        rate = arguments.pop("learning_rate")
        schedules = keras.optimizers.schedules
        if schedule == "PiecewiseConstantDecay":
            arguments["learning_rate"] = schedules.PiecewiseConstantDecay(
                values=[rate, rate / 2, rate / 10], **options
            )
        elif options.get("warmup_steps"):
            arguments["learning_rate"] = schedules.CosineDecay(0.0, **options)
        else:
            arguments["learning_rate"] = getattr(schedules, schedule)(rate, **options)
    else:
        arguments.update(extra)
    return getattr(keras.optimizers, cls)(**arguments)


def names() -> list[tuple[str, str]]:
    """Return all pairs (base, variant)."""
    return [
        (base, variant)
        for base in BASES
        for variant, extra in VARIANTS.items()
        if isinstance(extra, dict) or base in SCHEDULED
    ]


SCHEDULES = {
    "exponential": ("ExponentialDecay", {"decay_steps": 7, "decay_rate": 0.4}),
    "exponential_staircase": (
        "ExponentialDecay",
        {"decay_steps": 7, "decay_rate": 0.4, "staircase": True},
    ),
    "cosine": ("CosineDecay", {"decay_steps": 20}),
    "cosine_alpha": ("CosineDecay", {"decay_steps": 20, "alpha": 0.2}),
    "cosine_warmup": (
        "CosineDecay",
        {"decay_steps": 15, "warmup_target": 0.7, "warmup_steps": 6, "alpha": 0.05},
    ),
    "polynomial": ("PolynomialDecay", {"decay_steps": 12, "end_learning_rate": 0.01, "power": 2.0}),
    "polynomial_cycle": ("PolynomialDecay", {"decay_steps": 9, "cycle": True}),
    "inverse_time": ("InverseTimeDecay", {"decay_steps": 5, "decay_rate": 0.5}),
    "inverse_time_staircase": (
        "InverseTimeDecay",
        {"decay_steps": 5, "decay_rate": 0.5, "staircase": True},
    ),
    "cosine_restarts": (
        "CosineDecayRestarts",
        {"first_decay_steps": 7, "t_mul": 1.3, "m_mul": 0.8},
    ),
    "piecewise": ("PiecewiseConstantDecay", {"boundaries": [5, 12], "values": [0.5, 0.2, 0.05]}),
}


def build_schedule(keras, name: str):
    """Return a learning-rate schedule of the module `keras`."""
    cls, options = SCHEDULES[name]
    options = dict(options)
    if cls != "PiecewiseConstantDecay":
        options["initial_learning_rate"] = 0.3
    return getattr(keras.optimizers.schedules, cls)(**options)
