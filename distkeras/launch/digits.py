"""The built-in program of the launcher: a small convolutional network learns handwritten digits.

It is what a first job looks like: data that ship with distkeras, validation, early stopping, a
checkpoint of the best epoch, evaluation, a saved model, and a picture of the learning curves. The
global batch is the same on any number of ranks.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["build_model", "main"]

GOAL = 0.97


def main(argv: Sequence[str] | None = None) -> int:
    """Train, evaluate and save; the exit status says whether the accuracy is what it should be.

    Args:
        argv: the command line without the program's name, default `sys.argv[1:]`.

    Returns:
        0, or 1 when the test accuracy is below 97 % after a full training.

    Example:
        >>> main(["--epochs", "1"])  # doctest: +SKIP
    """
    options = _parse(argv)
    import distkeras as keras
    from distkeras import distribution

    begin = time.perf_counter()
    keras.utils.set_random_seed(options.seed)
    train, test = _data()
    model = build_model()
    model.compile(
        optimizer=keras.optimizers.Adam(4e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    speaks = distribution.rank() == 0
    out = Path(options.out)
    if speaks:
        _make(out)
    distribution.barrier()
    best = out / "best.keras"
    history = model.fit(
        *train,
        batch_size=options.batch_size,
        epochs=options.epochs,
        validation_split=0.1,
        verbose=1 if speaks else 0,
        callbacks=[
            keras.callbacks.ModelCheckpoint(str(best), monitor="val_loss", save_best_only=True),
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=5, restore_best_weights=True
            ),
        ],
    )
    loss, accuracy = model.evaluate(*test, batch_size=options.batch_size, verbose=0)
    model.save(str(out / "digits.keras"))
    if speaks:
        ranks = distribution.size()
        picture = _draw(history.history, out / "digits.png")
        print(
            f"test accuracy {100 * accuracy:.2f} %, test loss {loss:.4f}, {ranks} "
            f"rank{'s' * (ranks > 1)}, {time.perf_counter() - begin:.1f} s\n"
            f"saved {out / 'digits.keras'}, {best}{f', {picture}' if picture else ''}"
        )
    if accuracy < GOAL and options.epochs == _EPOCHS:
        if speaks:
            print(f"that is below {100 * GOAL:.0f} %: something is wrong", file=sys.stderr)
        return 1
    return 0


_EPOCHS = 30


def build_model() -> Any:
    """The network: two convolutions, pooling, two dense layers; 38,282 parameters.

    Returns:
        A `Sequential` for images of shape (8, 8, 1), not compiled.
    """
    from distkeras import Sequential, layers

    return Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.25),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="distkeras.launch.digits", description=__doc__)
    parser.add_argument(
        "--epochs", type=int, default=_EPOCHS, help=f"at most so many (default {_EPOCHS})"
    )
    parser.add_argument(
        "--batch-size", type=int, default=128, help="samples in a step of all ranks (default 128)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and dropout")
    parser.add_argument(
        "--out",
        default="digits",
        metavar="DIR",
        help="directory for the results (default ./digits)",
    )
    return parser.parse_args(argv)


def _make(out: Path) -> None:
    from distkeras.errors import LaunchError, UnwritableFileError
    from distkeras.utils.files import make_directory

    try:
        make_directory(out)
    except UnwritableFileError as error:
        raise LaunchError(
            f"The results need a directory, and {out.absolute()} cannot be made: "
            f"{os.strerror(error.errno or 0)}. Start in another directory, or name one: "
            "python -m distkeras.launch -- --out DIR"
        ) from error


def _data() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Images in 0..1 with a channel axis, in an order that lets the last tenth validate."""
    import numpy as np

    from distkeras.datasets import digits

    (x, y), (x_test, y_test) = digits.load_data()
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    return _scale(x, y), _scale(x_test, y_test)


def _scale(x: Any, y: Any) -> tuple[Any, Any]:
    return x[..., None].astype("float32") / 16, y.astype("int32")


def _draw(history: dict[str, list[float]], path: Path) -> Path | None:
    """A picture of losses and accuracies over epochs, where matplotlib is installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for name, label in ((quantity, "training"), (f"val_{quantity}", "validation")):
            if name in history:
                epochs = range(1, len(history[name]) + 1)
                axes.plot(epochs, history[name], marker=".", label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity)
        axes.legend()
    figure.savefig(path, dpi=120)
    return path
