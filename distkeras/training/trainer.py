"""`Trainer`: `fit`, `evaluate`, `predict` and single batches. Models derive from it.

On several ranks every rank runs these loops over its own rows, and all make the same collective
calls in the same order: what differs between ranks (who draws a progress bar, who listens to a
batch) never decides whether a collective is called.
"""

import warnings
from collections.abc import Callable, Iterable
from contextlib import closing, nullcontext
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.callbacks.callback_list import CallbackList
from distkeras.data.adapters import data_for
from distkeras.data.arrays import split_validation
from distkeras.data.batch import Batch, unpack_x_y_sample_weight
from distkeras.data.iterables import IterableData
from distkeras.data.source import RAN_OUT, Source
from distkeras.distribution.requests import during
from distkeras.distribution.world import is_alone, warn_if_unlaunched
from distkeras.engine.batch import JOINED, REDUCED, WHOLE
from distkeras.errors import ArgumentError, DataError, NotCompiledError
from distkeras.random.seed_generator import draw_key
from distkeras.strategies import Strategy, current_strategy
from distkeras.training import run_state
from distkeras.training.advice import advise_on_loss
from distkeras.training.boundary import compare_parameters, end_of_step
from distkeras.training.building import build_for, needs_building
from distkeras.training.compiling import Compiling
from distkeras.training.epochs import check_epochs, is_due
from distkeras.training.feeding import host_number, to_tensors
from distkeras.training.global_metrics import global_results
from distkeras.training.results import LazyDict
from distkeras.training.steps import Steps
from distkeras.utils import tree

__all__ = ["Trainer"]

# A single batch is compared over ranks at each call: few rows say enough.
_COMPARED_ROWS = 8
_NOTHING: Any = object()


class Trainer(Compiling, Steps):
    """Training, evaluation and prediction of a model; a mixin of `Model`."""

    stop_training: bool
    stop_evaluating: bool
    stop_predicting: bool
    _initial_epoch: int | None
    _strategy: Strategy | None

    def __init__(self):
        for name, value in (
            ("_run_eagerly", False),
            ("_jit_compile", "auto"),
            ("compiled", False),
            ("loss", None),
            ("optimizer", None),
            ("steps_per_execution", 1),
            ("_loss_tracker", None),
            ("_compile_loss", None),
            ("_compile_metrics", None),
            ("_compile_config", None),
            ("_initial_epoch", None),
            ("stop_training", False),
            ("stop_evaluating", False),
            ("stop_predicting", False),
            ("history", None),
            ("_strategy", None),
            ("auto_scale_loss", True),
        ):
            object.__setattr__(self, name, value)

    def _assert_compiled(self, method: str) -> None:
        if not self.compiled and type(self).train_step is Steps.train_step:
            raise NotCompiledError(
                f"You must call `compile()` before calling `{method}()`, as in "
                "model.compile('adam', 'mse')."
            )

    def _begin(self) -> Strategy:
        """How this call is spread over ranks."""
        strategy = self._strategy
        found = current_strategy()
        if strategy is None or (strategy.rank, strategy.size) != (found.rank, found.size):
            strategy = found
            object.__setattr__(self, "_strategy", strategy)
        return strategy

    # --- fit ---

    @during
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Iterable[int] = 1,
    ) -> Any:
        """Train the model.

        Args:
            x, y: arrays, or structures of them, with one row for each sample; or in `x` a
                generator, `PyDataset` or other iterable of batches `(x, y)` or `(x, y,
                sample_weight)`.
            batch_size: rows of a batch, over all ranks together; default 32.
            epochs: the number of the last epoch, default 1.
            verbose: 0 silent, 1 progress bar, 2 one line an epoch, `"auto"`.
            callbacks: a list of `Callback`s.
            validation_split: the share of the last samples to validate on.
            validation_data: `(x, y)` or `(x, y, sample_weight)`, or an iterable of batches.
            shuffle: whether each epoch takes the samples of arrays, or the batches of a
                `PyDataset`, in another order; default `True`.
            class_weight: class number -> weight.
            sample_weight: a weight for each sample.
            initial_epoch: the epoch to start at, from 0.
            steps_per_epoch: batches in an epoch; by default all.
            validation_steps: batches in a validation; by default all.
            validation_batch_size: default `batch_size`.
            validation_freq: validate every so many epochs, or in the epochs of a list (from 1).

        Returns:
            A `History`, whose `history` holds the metrics of all epochs.

        Raises:
            NotCompiledError: before `compile()`.
            DataError: where the data cannot be used.
            ArgumentError: for arguments outside their domain.

        Example:
            >>> import numpy as np, distkeras as keras
            >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
            >>> model.compile("sgd", "mse")
            >>> sorted(model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0).history)
            ['loss']
        """
        self._assert_compiled("fit")
        if is_alone():
            raise ArgumentError(
                "`fit` cannot run on one rank alone (in `on_rank` or a callback with `runs_on`): "
                "all ranks train together."
            )
        check_epochs(epochs, initial_epoch, validation_freq)
        warn_if_unlaunched()
        strategy = self._begin()
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_validation(
                (x, y, sample_weight), validation_split
            )
        seed = int(strategy.first(np.array([_order_seed()], np.int64))[0]) if shuffle else 0
        data = self._data(
            x,
            y,
            sample_weight,
            strategy=strategy,
            batch_size=batch_size,
            shuffle=shuffle,
            class_weight=class_weight,
            seed=seed,
            limit=steps_per_epoch,
        )
        validation = None
        if validation_data is not None:
            validation = self._data(
                *_unpacked(validation_data),
                strategy=strategy,
                batch_size=validation_batch_size or batch_size,
                limit=validation_steps,
            )
        strategy.prepare(self.variables)  # type: ignore[attr-defined]
        weights = self.trainable_variables  # type: ignore[attr-defined]
        # A model without `call` may have no weights yet: its first step builds the optimizer then.
        if self.optimizer is not None and not self.optimizer.built and weights:
            self.optimizer.build(weights)
        strategy.start(self.variables)  # type: ignore[attr-defined]
        callbacks = self._callbacks(callbacks, verbose, strategy, data, epochs, history=True)
        run = run_state.begin(self, strategy)
        try:
            numbers = range(initial_epoch, epochs)
            how = (numbers, validation_freq, strategy, run)
            return self._fit(x, data, validation, callbacks, *how)
        finally:
            if run is not None:
                run.leave()

    def _fit(
        self,
        given: Any,
        data: Source,
        validation: Source | None,
        callbacks: CallbackList,
        epochs: range,
        validation_freq: int | Iterable[int],
        strategy: Strategy,
        run: Any,
    ) -> Any:
        """The epochs of `fit`.

        Args:
            given: the `x` that `fit` got, for advice.
            run: the `Fit` of a run that records checkpoints or is resumed, or `None`.
        """
        object.__setattr__(self, "stop_training", False)
        object.__setattr__(self, "_initial_epoch", None)
        skip, logs = 0, None
        epoch_logs: dict = {}
        advised = strategy.rank != 0
        if run is not None:
            run.attach(data, validation, callbacks, epochs.stop)
            if run.needs_a_step():  # one makes what `train_step` makes; its effects are undone
                self._on_batch(self.train_step, data.peek(), strategy)
            run.check()
            if run.finished:
                run.restore()
                return self.history  # type: ignore[attr-defined]
        callbacks.on_train_begin()
        initial = self._initial_epoch or epochs.start  # BackupAndRestore sets it
        ahead = range(initial, epochs.stop)
        if run is not None and run.resumes:
            ahead, skip = range(run.epoch, epochs.stop), run.step
            if not skip:
                run.restore()
                epoch_logs = run.epoch_logs
                if self.stop_training:  # at the end of the epoch that then was saved
                    ahead = range(0)
        for epoch in ahead:
            self.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            if skip:  # on_epoch_begin may have changed what belongs to the middle of the epoch
                logs = run.restore()
                epoch_logs = run.epoch_logs
            logs = self._train_epoch(data, epoch, callbacks, strategy, run, skip, logs)
            skip = 0
            if logs is _NOTHING:
                if epoch == initial:
                    raise DataError(_no_batch("train on"))
                warnings.warn(RAN_OUT, stacklevel=2)  # a generator that is used up
                break
            epoch_logs = self._final_logs(logs, strategy)
            if not advised and not self.stop_training:
                advised = advise_on_loss(epoch_logs.get("loss"), epoch, given)
            if run is not None:
                run.hold()
            if validation is not None and is_due(epoch, validation_freq):
                values = self.evaluate(validation, callbacks=callbacks, return_dict=True, verbose=0)
                epoch_logs.update({f"val_{k}": v for k, v in values.items()})
            epoch_logs = dict(sorted(epoch_logs.items()))
            if run is not None:
                run.enter()
            callbacks.on_epoch_end(epoch, epoch_logs)
            compare_parameters(self.trainable_variables, strategy)  # type: ignore[attr-defined]
            if self._is_to_stop(strategy, run, epoch + 1, 0, epoch_logs):
                break
        if self.optimizer is not None and epochs.stop > initial and self.optimizer.built:
            self.optimizer.finalize_variable_values(self.trainable_weights)  # type: ignore[attr-defined]
        callbacks.on_train_end(epoch_logs)
        if run is not None:
            run.finish(epoch_logs)
        return self.history  # type: ignore[attr-defined]

    def _is_to_stop(self, strategy: Strategy, run: Any, epoch: int, step: int, logs: Any) -> bool:
        """After a step, or after an epoch (`step` 0): whether any rank wants to stop."""
        if run is not None:
            run.ask(epoch, step, logs)
        # Ranks stop together: a callback may have seen only its own rows.
        stop = end_of_step(self, strategy, bool(self.stop_training))
        if stop:
            object.__setattr__(self, "stop_training", True)
        return stop

    def _train_epoch(
        self,
        data: Source,
        epoch: int,
        callbacks: CallbackList,
        strategy: Strategy,
        run: Any,
        skip: int,
        logs: Any,
    ) -> Any:
        """The logs of the last step; `_NOTHING` where there was no batch.

        Where the first `skip` batches were taken by the run that is resumed, `logs` are those of
        the last of them.
        """
        before = callbacks.listens("on_train_batch_begin")
        after = callbacks.listens("on_train_batch_end")
        joined = self._joins_logs(callbacks, "on_train_batch_end", strategy)
        if not skip:
            logs = _NOTHING
        elif self.stop_training:
            return logs
        with closing(data.epoch(epoch, skip)) as batches:
            for step, batch in enumerate(batches, skip):
                if run is not None:
                    run.enter()
                if before:
                    callbacks.on_train_batch_begin(step)
                logs = None  # unread results would be kept through the next step
                logs = self._on_batch(self.train_step, batch, strategy)
                if after or joined:
                    shown = self._final_logs(logs, strategy) if joined else _host_logs(logs)
                    callbacks.on_train_batch_end(step, shown)
                if self._is_to_stop(strategy, run, epoch, step + 1, logs):
                    break
        return logs

    def _joins_logs(self, callbacks: CallbackList, event: str, strategy: Strategy) -> bool:
        """Whether the logs of each batch are joined over ranks: where a callback that runs on all
        of them may look. One rank's bar shows that rank's numbers."""
        return strategy.size > 1 and bool(strategy.union(int(callbacks.wants_logs(event))))

    def _on_batch(self, step: Callable, batch: Batch, strategy: Strategy) -> Any:
        """One step on this rank's rows."""
        several = strategy.size > 1
        data = to_tensors(batch.data, mark=several)
        scope = (
            strategy.step(batch.offset, batch.rows, batch.global_rows) if several else nullcontext()
        )
        with scope:
            return step(_packed(data))

    # --- data and callbacks of a call ---

    def _data(self, x: Any, y: Any, sample_weight: Any, *, strategy: Strategy, **settings: Any):
        """What gives the batches; the model is built for them."""
        data = data_for(x, y, sample_weight, rank=strategy.rank, size=strategy.size, **settings)
        self._build(data.peek, strategy)
        return data

    def _build(self, first: Callable[[], Batch], strategy: Strategy) -> None:
        if needs_building(self):
            fresh = not self.built  # type: ignore[attr-defined]
            build_for(self, first())
            if fresh:
                strategy.start(self.variables)  # type: ignore[attr-defined]

    def _callbacks(
        self,
        given: Any,
        verbose: int | str,
        strategy: Strategy,
        data: Source,
        epochs: int = 1,
        history: bool = False,
    ) -> CallbackList:
        if isinstance(given, CallbackList):
            return given
        if verbose not in (0, 1, 2, "auto"):
            raise ArgumentError(f"`verbose` must be 0, 1, 2 or 'auto', got {verbose!r}.")
        return CallbackList(
            given,
            add_history=history,
            add_progbar=verbose != 0 and strategy.rank == 0,
            verbose=verbose,
            epochs=epochs,
            steps=data.steps,
            model=self,
        )

    # --- logs ---

    def global_logs(self, logs: dict) -> dict:
        """The logs of a step joined over all ranks; collective.

        Args:
            logs: metric name -> value, as this rank sees them.

        Returns:
            The same names with values that are equal on all ranks.
        """
        return self._final_logs(logs, self._begin())

    def _final_logs(self, logs: Any, strategy: Strategy) -> dict:
        """The results over all ranks and the whole epoch, sorted by name.

        They are those of the metrics where the step returned their names.
        """
        if not isinstance(logs, dict):
            raise ArgumentError(
                f"A step must return a dict of name -> value, got {type(logs).__qualname__}."
            )
        logs = _flat(logs)
        results = global_results(self, strategy)
        if set(results) == set(logs) or not logs:
            return {k: host_number(results[k]) for k in sorted(results)}
        merged = {}
        for name, value in sorted(logs.items()):
            if name in results:
                merged[name] = host_number(results[name])
            elif strategy.size == 1:
                merged[name] = host_number(value)
            else:
                total = strategy.totals([np.asarray(host_number(value), np.float64)])[0]
                partial = getattr(value, "batch", None) == REDUCED
                mean = total if partial else total / strategy.size
                merged[name] = mean.item() if mean.ndim == 0 else mean
        return merged

    # --- evaluate, predict ---

    @during
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The loss and metrics on data.

        Args:
            x, y, sample_weight, batch_size: as in `fit`.
            verbose: 0 silent, 1 progress bar, 2 one line, `"auto"`.
            steps: batches to take; by default all.
            callbacks: a list of `Callback`s.
            return_dict: whether to answer a dict instead of a list.

        Returns:
            The loss, or a list of the loss and the metrics, or a dict by name.

        Raises:
            NotCompiledError: before `compile()`.
            DataError: where the data cannot be used.

        Example:
            >>> import numpy as np, distkeras as keras
            >>> dense = keras.layers.Dense(1, kernel_initializer="zeros")
            >>> model = keras.Sequential([keras.Input((1,)), dense])
            >>> model.compile("sgd", "mse")
            >>> model.evaluate(np.ones((2, 1)), np.ones((2, 1)), verbose=0)
            1.0
        """
        if kwargs:
            raise ArgumentError(f"Arguments not recognized: {kwargs}")
        self._assert_compiled("evaluate")
        strategy = self._begin()
        data = self._data(
            x, y, sample_weight, strategy=strategy, batch_size=batch_size, limit=steps
        )
        callbacks = self._callbacks(callbacks, verbose, strategy, data)
        before = callbacks.listens("on_test_batch_begin")
        after = callbacks.listens("on_test_batch_end")
        joined = self._joins_logs(callbacks, "on_test_batch_end", strategy)
        object.__setattr__(self, "stop_evaluating", False)
        callbacks.on_test_begin()
        self.reset_metrics()
        data.restart()
        logs: Any = _NOTHING
        with closing(data.epoch(0)) as batches:
            for step, batch in enumerate(batches):
                if before:
                    callbacks.on_test_batch_begin(step)
                logs = None
                logs = self._on_batch(self.test_step, batch, strategy)
                if after or joined:
                    shown = self._final_logs(logs, strategy) if joined else _host_logs(logs)
                    callbacks.on_test_batch_end(step, shown)
                if end_of_step(self, strategy, bool(self.stop_evaluating)):
                    break
        if logs is _NOTHING:
            raise DataError(_no_batch("evaluate"))
        final = self._final_logs(logs, strategy)
        callbacks.on_test_end(final)
        return final if return_dict else self._in_order(final)

    def _in_order(self, logs: dict) -> Any:
        # The loss, those of outputs, metrics by their own names; then, sorted, what an output's
        # name precedes.
        names: list = []
        for m in self.metrics:
            inner = m.metrics if m is self._compile_metrics else (m,)
            names.extend(each.name for each in inner)
        known = [name for name in dict.fromkeys(names) if name in logs]
        values = [logs[name] for name in (*known, *sorted(set(logs) - set(known)))]
        return values[0] if len(values) == 1 else values

    @during
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for data.

        Args:
            x: as in `fit`.
            batch_size: rows of a batch, default 32.
            verbose: 0 silent, 1 progress bar, 2 one line, `"auto"`.
            steps: batches to take; by default all.
            callbacks: a list of `Callback`s.

        Returns:
            NumPy arrays in the structure of the outputs, rows in the order of the data, the same on
            all ranks.

        Raises:
            DataError: where the data cannot be used.

        Example:
            >>> import numpy as np, distkeras as keras
            >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
            >>> model.predict(np.ones((4, 2)), verbose=0).shape
            (4, 3)
        """
        strategy = self._begin()
        data = self._data(
            x, None, None, strategy=strategy, batch_size=batch_size, limit=steps, labels=False
        )
        callbacks = self._callbacks(callbacks, verbose, strategy, data)
        before = callbacks.listens("on_predict_batch_begin")
        after = callbacks.listens("on_predict_batch_end")
        object.__setattr__(self, "stop_predicting", False)
        callbacks.on_predict_begin()
        structure, columns = None, []
        with closing(data.epoch(0)) as batches:
            for step, batch in enumerate(batches):
                if before:
                    callbacks.on_predict_batch_begin(step)
                structure = self._on_batch(self.predict_step, batch, strategy)
                columns.append(_gathered(structure, strategy))
                if after:
                    outputs = tree.pack_sequence_as(structure, columns[-1])
                    callbacks.on_predict_batch_end(step, {"outputs": outputs})
                if end_of_step(self, strategy, bool(self.stop_predicting)):
                    break
        if not columns:
            raise DataError(_no_batch("predict from"))
        callbacks.on_predict_end()
        joined = [c[0] if len(c) == 1 else np.concatenate(c) for c in zip(*columns, strict=True)]
        return tree.pack_sequence_as(structure, joined)

    # --- single batches ---

    def _one_batch(
        self, strategy: Strategy, x: Any, y: Any = None, weight: Any = None, **settings: Any
    ) -> Batch:
        if isinstance(x, Source):
            raise DataError("Expected the arrays of one batch.")
        data = self._data(
            x, y, weight, strategy=strategy, limit=1, compared=_COMPARED_ROWS, **settings
        )
        if isinstance(getattr(data, "part", data), IterableData):
            raise DataError(
                f"Expected the arrays of one batch, got {type(x).__qualname__}, an iterable of "
                "batches: take one with next(iter(...))."
            )
        with closing(data.epoch(0)) as batches:
            return next(batches)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One training step on one batch.

        Args:
            x, y, sample_weight, class_weight: as in `fit`.
            return_dict: whether to answer a dict instead of a list.

        Returns:
            The loss and metrics of this batch alone, as `evaluate` answers them.

        Raises:
            NotCompiledError: before `compile()`.
            DataError: where the data cannot be used.
        """
        self._assert_compiled("train_on_batch")
        strategy = self._begin()
        batch = self._one_batch(strategy, x, y, sample_weight, class_weight=class_weight)
        return self._batch_logs(self.train_step, batch, strategy, return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One step of evaluation on one batch; see `train_on_batch`."""
        self._assert_compiled("test_on_batch")
        strategy = self._begin()
        batch = self._one_batch(strategy, x, y, sample_weight)
        return self._batch_logs(self.test_step, batch, strategy, return_dict)

    def _batch_logs(
        self, step: Callable, batch: Batch, strategy: Strategy, return_dict: bool
    ) -> Any:
        self.reset_metrics()
        logs = self._final_logs(self._on_batch(step, batch, strategy), strategy)
        return logs if return_dict else self._in_order(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch as NumPy arrays.

        Args:
            x: arrays, as in `fit`.
        """
        strategy = self._begin()
        batch = self._one_batch(strategy, x, labels=False)
        outputs = self._on_batch(self.predict_step, batch, strategy)
        return tree.pack_sequence_as(outputs, _gathered(outputs, strategy))


def _gathered(outputs: Any, strategy: Strategy) -> list:
    """The rows of all ranks, for each of the flat outputs."""
    found = []
    for t in tree.flatten(outputs):
        mark, host = getattr(t, "batch", None), ops.convert_to_numpy(t)
        if strategy.size == 1 or mark in (JOINED, WHOLE):  # every rank has it already
            found.append(host)
        elif mark == REDUCED:
            found.append(strategy.totals([host])[0])
        else:
            found.append(strategy.gather_rows(host))
    return found


def _host_logs(logs: Any) -> dict:
    """Logs with Python numbers, which are read from the device when somebody looks."""
    if not isinstance(logs, dict):
        raise ArgumentError(
            f"A step must return a dict of name -> value, got {type(logs).__qualname__}."
        )
    return LazyDict(lambda: {k: host_number(v) for k, v in sorted(_flat(logs).items())})


def _flat(logs: dict) -> dict:
    """Logs without dicts in them: `{m.name: m.result() for m in self.metrics}` of a custom step
    holds the results of several metrics under one name."""
    flat = {}
    for name, value in logs.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    return flat


def _packed(data: tuple) -> Any:
    """`(x, y, w)` as short as it can be, as custom steps unpack it."""
    x, y, w = data
    if w is not None:
        return x, y, w
    return (x, y) if y is not None else (x,) if isinstance(x, list | tuple) else x


def _unpacked(validation_data: Any) -> tuple:
    """`(x, y, sample_weight)` from `validation_data`."""
    if isinstance(validation_data, tuple | list):
        return unpack_x_y_sample_weight(tuple(validation_data))
    return validation_data, None, None


def _no_batch(purpose: str) -> str:
    return (
        f"The data gave no batch to {purpose}. A generator that was used up cannot start again: "
        "make a new one, pass arrays or a PyDataset, or take fewer batches a time with "
        "`steps_per_epoch`, `validation_steps` or `steps`."
    )


def _order_seed() -> int:
    """A seed for the orders of samples, from the global generator: `set_random_seed` decides it."""
    seed, counter = draw_key(None)
    return (seed * 2**31 + counter) % 2**63
