"""A model's weights, and what `compile` was given, made from the shapes of a first batch."""

from typing import Any

from distkeras.data.batch import Batch, unpack_x_y_sample_weight
from distkeras.distribution.world import rank
from distkeras.engine.abstract import Spec, infer
from distkeras.errors import AbstractValueError
from distkeras.training.advice import advise
from distkeras.training.feeding import to_tensors
from distkeras.utils import tree

__all__ = ["build_for", "needs_building"]


def needs_building(model: Any) -> bool:
    """Whether weights, metrics or losses are still to be made."""
    parts = (model._compile_metrics, model._compile_loss)
    return not model.built or any(part is not None and not part.built for part in parts)


def build_for(model: Any, batch: Batch) -> None:
    """Make a model's weights, metrics and losses from a batch's shapes, before any step.

    All ranks have them then, also those without a row in the first batch.

    Args:
        model: the model.
        batch: any batch.
    """
    x, y, _ = unpack_x_y_sample_weight(batch.data)
    was_built = model.built
    rows = _fixed_rows(model)
    specs = tree.map_structure(lambda array: _spec(array, rows), (x, y))

    def run(given):
        inputs, targets = given
        outputs = model._forward(inputs, training=True)
        for part in (model._compile_metrics, model._compile_loss):
            if part is not None and not part.built and targets is not None:
                part.build(targets, outputs)
                if part is model._compile_loss and rank() == 0:
                    values = part._targets(y, outputs)
                    advise(model, part._targets(targets, outputs), outputs, values)
        return outputs

    try:
        infer(run, specs)
    except NotImplementedError:
        return  # a model whose `train_step` does everything and that defines no `call`
    except AbstractValueError:
        if not was_built:  # its `call` looks at values
            model._forward(to_tensors(batch.data)[0], training=False)


def _fixed_rows(model: Any) -> int | None:
    """The batch size that a model's inputs name, as those of a stateful one do."""
    for t in getattr(model, "inputs", None) or ():
        if t.shape and t.shape[0] is not None:
            return t.shape[0]
    return None


def _spec(array: Any, rows: int | None) -> Any:
    return None if array is None else Spec((rows, *array.shape[1:]), array.dtype.name)
