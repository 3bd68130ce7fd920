"""`Optimizer`: the public face of update rules, and the base of optimizers that users write."""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from distkeras import ops
from distkeras.engine import context
from distkeras.engine.deferred import DeferredSum
from distkeras.engine.tensor import Tensor
from distkeras.engine.updates import compile_numbers
from distkeras.engine.variable import Variable
from distkeras.errors import ArgumentError, NotBuiltError, UnknownVariableError
from distkeras.optimizers.base import BaseOptimizer, HostNumber, slot_name
from distkeras.optimizers.memory import Memory, Numbers, Slice, composed
from distkeras.optimizers.rules import UpdateRule

__all__ = ["Optimizer"]


# What is known of a variable in one call of `apply`.
_ABSENT, _MISSING, _FROZEN, _WRITTEN = range(4)
# How many written sets are remembered: a network that drops layers at random has very many.
_PLANS = 64


def _known(gradient: Any, variable: Variable) -> int:
    if not variable.trainable:
        return _FROZEN
    return _MISSING if gradient is None else _WRITTEN


def _at_least_single(dtype: str) -> str:
    return "float32" if dtype in ("float16", "bfloat16") else dtype


class Plan:
    """What one written set comes to.

    Attributes:
        positions: of the variables that are updated.
        stretches: slices that cover them.
        replaced: positions of those that take the gradient itself as their value.
    """

    __slots__ = ("positions", "replaced", "stretches")

    def __init__(self, positions: list[int], replaced: list[int], stretches: list):
        self.positions, self.replaced, self.stretches = positions, replaced, stretches


class Optimizer(BaseOptimizer):
    """The base of all optimizers.

    An optimizer of your own creates its variables in `build`, after `super().build(variables)`,
    with `add_variable_from_reference`, and updates one variable in
    `update_step(gradient, variable, learning_rate)`.

    Args:
        learning_rate: a float, a `LearningRateSchedule`, or a callable without arguments.
        weight_decay: before each update, a variable loses this part of itself times the rate.
        clipnorm: each gradient whose norm is larger is scaled to this norm.
        clipvalue: gradients are clipped to plus and minus this value.
        global_clipnorm: all gradients are scaled together to this norm where it is exceeded.
        use_ema: whether to keep a moving average of the variables.
        ema_momentum: the share of the old average in the new one.
        ema_overwrite_frequency: every how many updates the variables are set to their average;
            `None`: only by `finalize_variable_values`, at the end of `fit`.
        loss_scale_factor: by what the loss was multiplied, and gradients are divided.
        gradient_accumulation_steps: how many gradients are averaged before one update, at least 2.
        name: a name, default from the class.

    Raises:
        ArgumentError: for arguments that make no sense, alone or together.

    Example:
        >>> import distkeras as keras
        >>> w = keras.Variable([1.0, 2.0])
        >>> optimizer = keras.optimizers.SGD(learning_rate=0.5)
        >>> optimizer.apply([keras.ops.ones((2,))], [w])
        >>> w.numpy().tolist()
        [0.5, 1.5]
    """

    def __init__(self, learning_rate: Any, *args: Any, **kwargs: Any):
        super().__init__(learning_rate, *args, **kwargs)
        self._memory: Memory | None = None
        self._rule: UpdateRule | None = None
        self._plans: dict[tuple, Plan] = {}
        self._state: dict[str, HostNumber] = {}

    def build(self, variables: Iterable[Variable]) -> None:
        """Create gradients and slots for variables; nothing happens the second time.

        Args:
            variables: all that the optimizer will ever update.

        Raises:
            ArgumentError: where a variable occurs twice.
        """
        if self.built:
            return
        variables = list(variables)
        times = Counter(id(v) for v in variables)
        twice = [v.path for v in variables if times[id(v)] > 1]
        if twice:
            raise ArgumentError(f"Variables {twice} were given twice; one update is made of each.")
        self._memory = Memory(variables)
        if self.use_ema:
            self._add_slots([("average", "average")])
        if self.gradient_accumulation_steps:
            self._add_slots([("accumulator", "gradient_accumulator")])
        self._rule = self._choose_rule()
        if self._rule is not None:
            initial = {symbol: getattr(self, name) for symbol, name in self._rule.initial}
            for group in self._rule.groups:
                self._add_slots(group, initial)
            for name, value, _ in self._rule.state:
                dtype = _at_least_single(variables[0].dtype)
                self._state[name] = HostNumber(self.add_variable((), value, dtype, name=name))
        self.built = True

    def _add_slots(self, group: list[tuple[str, str]], initial: dict | None = None) -> None:
        assert self._memory is not None
        for symbol, _ in group:
            self._memory.add(symbol, (initial or {}).get(symbol, 0.0))
        for position, v in enumerate(self._memory.variables):
            for symbol, name in group:
                if v.overwrite_with_gradient and symbol != "accumulator":
                    continue
                cell = self._memory.cell(symbol, position)
                slot = self._track(Variable.of_cell(cell, slot_name(v, name)))
                slot.path = f"{self.name}/{slot.name}"

    def _choose_rule(self) -> UpdateRule | None:
        """The row of `RULES` that `build` shall prepare; `None` for `update_step` of a subclass."""
        return None

    @property
    def _trainable_variables(self) -> list[Variable]:
        return [] if self._memory is None else self._memory.variables

    def _get_variable_index(self, variable: Variable) -> int:
        return self._index()[id(variable)]

    def _index(self) -> dict[int, int]:
        return {} if self._memory is None else self._memory.index

    # --- updating ---

    def apply_gradients(
        self, grads_and_vars: Iterable[tuple[Any, Variable]], **kwargs: Any
    ) -> Variable:
        """Update variables; see `apply`.

        Args:
            grads_and_vars: pairs of a gradient and its variable.

        Returns:
            The number of calls so far, a variable.
        """
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(self, grads: Iterable[Any], trainable_variables: Any = None) -> None:
        """Update variables according to their gradients.

        A variable whose gradient is `None`, or which is frozen, is not touched: neither by decay
        nor by momentum.

        Args:
            grads: gradients of the variables' shapes, or `None`.
            trainable_variables: the variables, in the same order; the first call builds the
                optimizer with them. Default: those that it was built with.

        Raises:
            UnknownVariableError: for a variable that the optimizer was not built with.
            ShapeError: where a gradient has not its variable's shape.
            ArgumentError: where all gradients are missing, or numbers do not agree.
        """
        grads = list(grads)
        if not grads:
            return
        by_position, states = self._sorted(grads, trainable_variables)
        plan = self._plans.get(states)
        if plan is None:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            plan = self._plans[states] = self._plan(states)
        for i, state in enumerate(states):
            if state != _WRITTEN:
                by_position[i] = None
            elif not isinstance(by_position[i], Tensor):
                by_position[i] = ops.convert_to_tensor(by_position[i])
        assert self._memory is not None
        step, rate = self._step.get(), self._rate()
        if self._by_slices(plan, by_position):
            slices = self._memory.slices(plan.stretches, by_position)
            plan = Plan(plan.positions, [], slices)
            for s in slices:
                if isinstance(s, Slice):
                    for i in s.positions:
                        by_position[i] = None
        self._memory.store(by_position)
        self._replace(plan, step)
        if plan.positions:
            self._update(plan, step, rate)
            for i in plan.positions:
                v = self._memory.variables[i]
                if v.constraint is not None:
                    with context.changed(tapes=(), autocast=None):
                        v.assign(v.constraint(v.value))
        self._step.set(step + 1)

    def _by_slices(self, plan: Plan, gradients: list) -> bool:
        """Whether each rank may update a slice: nobody has to know a whole variable for it."""
        return (
            any(isinstance(g, DeferredSum) for g in gradients)
            and self._rule is not None
            and self._rule.scope == "element"
            and type(self).update_step is Optimizer.update_step
            and not (plan.replaced or self.use_ema or self.gradient_accumulation_steps)
            and not (self.clipnorm or self.global_clipnorm)
        )

    def _sorted(self, grads: list, variables: Any) -> tuple[list, tuple]:
        """Gradients and what is known of each, in the order in which the optimizer was built."""
        if variables is None:
            if self._memory is None:
                raise NotBuiltError(
                    "When passing `grads` without `variables`, the optimizer must already be "
                    "built on a list of variables. Call `optimizer.build(trainable_variables)` "
                    "first."
                )
            known = self._memory.variables
            if len(grads) != len(known):
                raise ArgumentError(
                    "When passing `grads` as a list of gradient tensors, the gradients must match "
                    f"the optimizer's variables one-to-one. Received a list of {len(grads)} "
                    f"gradients, but the optimizer is tracking {len(known)} trainable variables."
                )
            return grads, tuple([_known(g, v) for g, v in zip(grads, known, strict=True)])
        variables = list(variables)
        if len(variables) != len(grads):
            raise ArgumentError(
                f"{len(grads)} gradients were given for {len(variables)} variables; give one, or "
                "None, for each."
            )
        if not self.built:
            self.build(variables)
        index = self._index()
        by_position: list = [None] * len(index)
        states = [_ABSENT] * len(index)
        for g, v in zip(grads, variables, strict=True):
            position = index.get(id(v))
            if position is None:
                raise UnknownVariableError(
                    f"Unknown variable: <Variable path={v.path}, shape={v.shape}>. This optimizer "
                    "can only be called for the variables it was originally built with. When "
                    "working with a new set of variables, you "
                    "should recreate a new optimizer instance."
                )
            if states[position] != _ABSENT:
                raise ArgumentError(f"The variable {v.path!r} was given twice, with two gradients.")
            by_position[position], states[position] = g, _known(g, v)
        return by_position, tuple(states)

    def _plan(self, states: tuple) -> Plan:
        assert self._memory is not None
        variables = self._memory.variables
        if _WRITTEN not in states and _FROZEN not in states:
            raise ArgumentError(
                "No gradients provided for any variable: the loss depends on none of them. It must "
                "return a tensor that operations of `keras.ops` make from the model's outputs; "
                "NumPy's functions, `float()` and `argmax` cut the way back, and so does a loss "
                "that returns nothing."
            )
        missing = [v.path for v, s in zip(variables, states, strict=True) if s == _MISSING]
        if missing:
            warnings.warn(
                f"Gradients do not exist for variables {missing} when minimizing the loss. If "
                "using `model.compile()`, did you forget to provide a `loss` argument?",
                stacklevel=4,
            )
        written = [i for i, state in enumerate(states) if state == _WRITTEN]
        replaced = [i for i in written if variables[i].overwrite_with_gradient]
        positions = [i for i in written if i not in replaced]
        decays = [self._use_weight_decay(v) for v in variables]
        return Plan(positions, replaced, self._memory.stretches(positions, decays))

    def _replace(self, plan: Plan, step: int) -> None:
        """Variables that take the gradient itself (amax histories of float8) get it."""
        assert self._memory is not None
        steps = self.gradient_accumulation_steps
        for i in plan.replaced:
            value = self._memory.gradient(i)
            if not steps:
                self._memory.variables[i].assign(value)
                continue
            largest = self._memory.cell("accumulator", i)
            value = ops.maximum(value, largest.tensor())
            if (step + 1) % steps:
                largest.write(value.array)
            else:
                self._memory.variables[i].assign(value)
                largest.fill(0)

    def _update(self, plan: Plan, step: int, rate: float) -> None:
        steps = self.gradient_accumulation_steps
        done = step // steps if steps else step  # updates before this one
        numbers: Numbers = {}
        preparation: list[str] = []
        if self.loss_scale_factor is not None:
            numbers["loss_scale"] = float(self.loss_scale_factor)
            preparation.append("g = g / loss_scale")
        if steps and (step + 1) % steps:
            source = "; ".join(["g = gradient", *preparation, "accumulator = accumulator + g"])
            for stretch in plan.stretches:
                stretch.run(source, ("gradient", "accumulator"), numbers)
        else:
            arrays: tuple[str, ...] = ("p", "gradient")
            if steps:
                numbers["steps"] = steps
                preparation.append("g = (g + accumulator) / steps")
                arrays = ("p", "gradient", "accumulator")
            preparation = self._clip(plan, arrays, preparation, numbers)
            self._run(plan, arrays, tuple(preparation), numbers, done + 1, rate)
            if steps:
                assert self._memory is not None
                self._memory.clear("accumulator")
        if self.use_ema:
            self._average(done)

    def _clip(
        self, plan: Plan, arrays: tuple, preparation: list[str], numbers: Numbers
    ) -> list[str]:
        """The statements that are left to prepare gradients, after what norms need was done."""
        if self.clipvalue and self.clipvalue > 0 and not (self.clipnorm or self.global_clipnorm):
            numbers["clip"] = float(self.clipvalue)
            return [*preparation, "g = minimum(maximum(g, -clip), clip)"]
        local = self.clipnorm if self.clipnorm and self.clipnorm > 0 else None
        joint = self.global_clipnorm if local is None else None
        if local is None and not (joint and joint > 0):
            return preparation
        if preparation:
            self._prepare(plan, arrays, preparation, numbers)
        if local is not None:
            for stretch in plan.stretches:
                stretch.scale_gradients(float(local))
            return []
        norm = sum(stretch.square_sum() for stretch in plan.stretches) ** 0.5
        if norm <= joint:  # type: ignore[operator]
            return []
        # Where the norm is no finite number, all gradients become NaN, as in Keras.
        finite = norm - norm == 0
        numbers["clip"] = float(joint) / norm if finite else float("nan")  # type: ignore[arg-type]
        return ["g = g * clip"]

    def _prepare(self, plan: Plan, arrays: tuple, preparation: Iterable, numbers: Numbers) -> None:
        """Carry out statements on the gradients themselves."""
        source = "; ".join(["g = gradient", *preparation, "gradient = g"])
        for stretch in plan.stretches:
            stretch.run(source, arrays, numbers)

    def _run(
        self,
        plan: Plan,
        arrays: tuple[str, ...],
        preparation: tuple[str, ...],
        numbers: Numbers,
        t: int,
        rate: float,
    ) -> None:
        decay = None if self.weight_decay is None else self.weight_decay * rate
        rule = self._rule
        if rule is None or type(self).update_step is not Optimizer.update_step:
            self._run_update_steps(plan, arrays, preparation, numbers, decay)
            return
        numbers = numbers | self._rule_numbers(rule, t, rate, advance=True)
        arrays += rule.symbols
        slices = [s for s in plan.stretches if isinstance(s, Slice)]
        sums = list({id(s.summed): s.summed for s in slices}.values())
        for s in slices:
            s.release(("p", *rule.symbols))
        for summed in sums:
            summed.open_update()
        for stretch in plan.stretches:
            if decay is not None and stretch.decays:
                source = composed(rule.update, preparation, True)
                stretch.run(source, arrays, numbers | {"decay": decay})
            else:
                stretch.run(composed(rule.update, preparation, False), arrays, numbers)
        for summed in sums:
            summed.close_update()
        for s in slices:
            s.take_over()

    def _rule_numbers(self, rule: UpdateRule, t: int, rate: float, advance: bool) -> Numbers:
        """What a rule's statements know beside arrays; its state is advanced first."""
        numbers: Numbers = {"lr": rate, "t": t}
        for name in rule.parameters:
            numbers[name] = float(getattr(self, name))
        for name, _, _ in rule.state:
            numbers[name] = self._state[name].get()
        if advance:
            names = tuple(numbers)
            values = tuple(numbers.values())
            for name, _, following in rule.state:
                numbers[name] = compile_numbers(following, names)(*values)
                self._state[name].set(numbers[name])
        return numbers

    def _run_update_steps(
        self, plan: Plan, arrays: tuple, preparation: tuple, numbers: Numbers, decay: float | None
    ) -> None:
        """The way of optimizers that update one variable after another in Python."""
        assert self._memory is not None
        if preparation:
            self._prepare(plan, arrays, preparation, numbers)
        for stretch in plan.stretches:
            if decay is not None and stretch.decays:
                stretch.run("p = p - p * decay", ("p",), {"decay": decay})
        if self._rule is not None:  # for `super().update_step(...)`
            self._rule_numbers(self._rule, self._updates() + 1, 0.0, advance=True)
        with context.changed(tapes=(), autocast=None):
            rate = self.learning_rate
            for i in plan.positions:
                self.update_step(self._memory.gradient(i), self._memory.variables[i], rate)

    def _updates(self) -> int:
        """How many updates there were, a Python number."""
        return self._step.get() // (self.gradient_accumulation_steps or 1)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Update one variable; a subclass overrides it.

        Args:
            gradient: the gradient, scaled and clipped.
            variable: the variable, after weight decay.
            learning_rate: the rate, a variable or tensor.
        """
        rule, memory = self._rule, self._memory
        if rule is None or memory is None:
            raise NotImplementedError(
                f"{type(self).__name__} must override "
                "`update_step(self, gradient, variable, learning_rate)`."
            )
        position = memory.index[id(variable)]
        gradients: list = [None] * len(memory.variables)
        gradients[position] = ops.convert_to_tensor(gradient)
        memory.store(gradients)
        numbers = self._rule_numbers(rule, self._updates() + 1, float(learning_rate), False)
        (stretch,) = memory.stretches([position], [False] * len(memory.variables))
        stretch.run(composed(rule.update, (), False), ("p", "gradient", *rule.symbols), numbers)

    # --- moving average ---

    def _average(self, done: int) -> None:
        """Keras's moving average, written so that it stays where the variable is, to the bit."""
        assert self._memory is not None
        weight = 1.0 - self.ema_momentum if done else 1.0
        averaged = [
            i for i, v in enumerate(self._memory.variables) if not v.overwrite_with_gradient
        ]
        same = [False] * len(self._memory.variables)
        source = "average = average + (p - average) * weight"
        for stretch in self._memory.stretches(averaged, same):
            stretch.run(source, ("p", "average"), {"weight": weight})
        if self.ema_overwrite_frequency and (done + 1) % self.ema_overwrite_frequency == 0:
            trainable = [i for i in averaged if self._memory.variables[i].trainable]
            for stretch in self._memory.stretches(trainable, same):
                stretch.run("p = average", ("p", "average"), {})

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Set variables to their moving average, where `use_ema` keeps one.

        Args:
            var_list: the variables that the optimizer was built with.
        """
        if not self.use_ema:
            return
        var_list = list(var_list)
        index = self._index()
        if len(var_list) != len(index):
            raise ArgumentError(
                f"The length of model variables ({len(var_list)}) to override does not match the "
                f"length of model variables stored in the optimizer ({len(index)}). Please check "
                "if the optimizer was called on your model."
            )
        self._check_variables_are_known(var_list)
        if not self._step.get():
            return  # there is no average before the first update
        assert self._memory is not None
        for v in var_list:
            if not v.overwrite_with_gradient:
                v.assign(self._memory.cell("average", index[id(v)]).tensor())

    def _check_variables_are_known(self, variables: Iterable[Variable]) -> None:
        for v in variables:
            if id(v) not in self._index():
                raise UnknownVariableError(
                    f"Unknown variable: <Variable path={v.path}, shape={v.shape}>. This optimizer "
                    "can only be called for the variables it was originally built with. When "
                    "working with a new set of variables, you "
                    "should recreate a new optimizer instance."
                )

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Any],
        grads: Sequence[Any],
        trainable_variables: Sequence,
    ) -> tuple[list, list]:
        """What `apply` would make of given values; optimizer and variables stay as they are.

        Args:
            optimizer_variables: values for `variables`.
            grads: gradients.
            trainable_variables: values for the variables that the optimizer was built with.

        Returns:
            The new values of the trainable variables and of the optimizer's variables.
        """
        if not self.built:
            raise NotBuiltError(
                f"To call `stateless_apply`, {type(self).__name__} must be built (i.e. its "
                "variables must have been created). You can build it via "
                "`optimizer.build(trainable_variables)`."
            )
        model, own = self._trainable_variables, self.variables
        for what, given, known in (
            ("optimizer_variables", optimizer_variables, own),
            ("trainable_variables", trainable_variables, model),
        ):
            if len(given) != len(known):
                raise ArgumentError(
                    f"Argument `{what}` must be a list of tensors corresponding 1:1 to the "
                    f"optimizer's. Received length {len(given)}, but expected {len(known)}."
                )
        variables = [*model, *own]
        before = [v.value for v in variables]
        try:
            for v, value in zip(
                variables, [*trainable_variables, *optimizer_variables], strict=True
            ):
                v.assign(value)
            self.apply(grads)
            after = [v.value for v in variables]
        finally:
            for v, value in zip(variables, before, strict=True):
                v.assign(value)
        return after[: len(model)], after[len(model) :]

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Name the variables that weight decay leaves alone.

        Args:
            var_list: variables.
            var_names: patterns that are sought in the variables' names, such as `"bias"`.
        """
        super().exclude_from_weight_decay(var_list, var_names)
        self._plans.clear()

    def assign(self, variable: Variable, value: Any) -> None:
        """`variable.assign(value)`, for `update_step`."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """`variable.assign_add(value)`, for `update_step`."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """`variable.assign_sub(value)`, for `update_step`."""
        variable.assign_sub(value)
