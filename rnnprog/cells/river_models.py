"""River estimators by name, as flags and TOML files have them, and whether one fits a task.

A model is written as JSON or TOML:

* ``"linear_model.LogisticRegression"``: one estimator with its defaults; numbers are scaled and texts one-hot encoded
  before it, and a classifier that knows only two classes stands in a one-versus-rest classifier.
* ``"preprocessing.MinMaxScaler | tree.HoeffdingTreeClassifier"``: a pipeline, taken as it is written.
* ``{"tree.HoeffdingTreeRegressor" = {grace_period = 50}}``: with parameters; a parameter may be an estimator, written
  in the same way: ``{"ensemble.BaggingClassifier" = {model = {"tree.HoeffdingTreeClassifier" = {}}}}``.
* a list of these: a pipeline.

Where an estimator takes a seed and none is given, it is 0, so that equal exams have equal results.
"""

from __future__ import annotations

import difflib
import inspect
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal, get_args, get_origin

from rnnprog.errors import ConfigurationError
from rnnprog.signatures import Task

__all__ = ["check_fit", "default_model", "features", "named_model"]

_MISSING = 'the cell "river" needs the package river (Python 3.11 or later); pip install "rnnprog[river]"'


def named_model(written: Any, task: Task) -> Any:
    """Return the model that is written, fit for a task with one output.

    Args:
        written: a name, a pipeline of names, a table with parameters, or a list of these.
        task: what is observed and predicted.

    Raises:
        ConfigurationError: River is not installed, there is no such estimator, or it does not take the parameters.

    Example:
        >>> from rnnprog.signatures import as_task
        >>> task = as_task("wind: float -> sky: Literal['sun', 'rain']")
        >>> list(named_model("linear_model.LogisticRegression", task).steps)
        ['StandardScaler', 'OneVsRestClassifier']
        >>> named_model("linear_model.LogisticRegresion", task)
        Traceback (most recent call last):
        rnnprog.errors.ConfigurationError: River has no 'linear_model.LogisticRegresion'; did you mean ...
    """
    _river("base")
    parts = [part.strip() for part in written.split("|")] if isinstance(written, str) else written
    parts = parts if isinstance(parts, list) else [parts]
    if not parts:
        raise ConfigurationError("an empty list is no River model; name an estimator")
    made = [_made(part) for part in parts]
    if len(made) > 1:
        model = made[0]
        for part in made[1:]:
            model = model | part
        return model
    (model,) = made
    base = _river("base")
    kind = task.signature.output_fields[task.outputs[0]].annotation
    if isinstance(model, base.Classifier) and not model._multiclass and _classes(kind) not in (None, 0):
        model = _river("multiclass").OneVsRestClassifier(model)
    return features(task) | model if isinstance(model, (base.Classifier, base.Regressor)) else model


def default_model(task: Task) -> Any:
    """Return a plain linear model for a task: scaled numbers, one-hot texts, and the regression that fits the output.

    Args:
        task: a task whose first output is a number, a label or probabilities of labels; texts count as labels.

    Raises:
        ConfigurationError: River is not installed, or the output is of another type.
    """
    kind = task.signature.output_fields[task.outputs[0]].annotation
    linear_model = _river("linear_model")
    if kind in (int, float):
        return features(task) | linear_model.LinearRegression()
    if kind is bool:
        return features(task) | linear_model.LogisticRegression()
    if kind is str or get_origin(kind) is Literal or kind is dict or get_origin(kind) is dict:
        return features(task) | linear_model.SoftmaxRegression()
    raise ConfigurationError(f"no default River model predicts {task.outputs[0]!r} of type {kind}; give model=...")


def features(task: Task) -> Any:
    """Return what goes before a lone estimator: numbers scaled, texts one-hot encoded."""
    compose, preprocessing = _river("compose"), _river("preprocessing")
    fields = task.signature.input_fields.items()
    numbers = [name for name, field in fields if field.annotation in (int, float, bool)]
    words = [name for name in task.inputs if name not in numbers]
    if not words:
        return preprocessing.StandardScaler()
    parts = [compose.Select(*numbers) | preprocessing.StandardScaler()] if numbers else []
    parts += [compose.Select(*words) | preprocessing.OneHotEncoder()]
    return parts[0] if len(parts) == 1 else compose.TransformerUnion(*parts)


def check_fit(model: Any, output: str, kind: Any) -> None:
    """Refuse a River model that cannot answer what a task asks; models that are not River's are taken as they are.

    Args:
        model: an estimator or a pipeline.
        output: name of the output.
        kind: its type.

    Raises:
        ConfigurationError: a transformer without a model after it, a classifier for a number, a regressor for a
            label, or a classifier of two classes for more.
    """
    if not (type(model).__module__ or "").startswith("river."):
        return
    base = _river("base")
    last = next(reversed(model.steps.values())) if hasattr(model, "steps") else model
    told = f"{type(last).__name__} does not fit the output {output!r}"
    classifies, regresses = isinstance(last, base.Classifier), isinstance(last, base.Regressor)
    if not (classifies or regresses):
        raise ConfigurationError(f"{told}: it predicts neither labels nor numbers; put a classifier or regressor last")
    if kind in (int, float) and classifies and not regresses:
        raise ConfigurationError(f"{told}: that is a number, and this is a classifier; name a regressor")
    if kind not in (int, float) and regresses and not classifies:
        raise ConfigurationError(f"{told}: that is a label, and this is a regressor; name a classifier")
    if classifies and not last._multiclass and _classes(kind) not in (None, 0):
        raise ConfigurationError(
            f"{told}: it tells only false from true; write it alone, or inside multiclass.OneVsRestClassifier"
        )


def _classes(kind: Any) -> int | None:
    """Return how many classes an output has; 0 for a yes or no, ``None`` where they are not known beforehand."""
    if kind is bool:
        return 0
    return len(get_args(kind)) if get_origin(kind) is Literal else 2 if kind is str else None


def _made(part: Any) -> Any:
    if isinstance(part, dict):
        if len(part) != 1:
            raise ConfigurationError(f"{part!r} is no River model; write a table with one name and its parameters")
        ((name, given),) = part.items()
    else:
        name, given = part, {}
    if not isinstance(name, str) or not isinstance(given, dict):
        raise ConfigurationError(f"{part!r} is no River model; write a name, or a table of a name and its parameters")
    kind = _class(name)
    settings = {key: _made(value) if _is_model(value) else value for key, value in given.items()}
    if "seed" in inspect.signature(kind).parameters:
        settings.setdefault("seed", 0)
    try:
        return kind(**settings)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"River's {name} does not take {sorted(given)}: {error}") from error


def _is_model(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and "." in next(iter(value))


def _class(name: str) -> type:
    module, dot, thing = name.rpartition(".")
    found = getattr(_river(module), thing, None) if dot and module in _modules() else None
    if isinstance(found, type) and not inspect.isabstract(found):
        return found
    known = [f"{at}.{one}" for at in _modules() for one in getattr(_river(at), "__all__", ())]
    plain = [one for one in known if one.rpartition(".")[2].lower() == thing.lower()]
    near = plain or difflib.get_close_matches(name, known, n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else "write module.Class, e.g. linear_model.LinearRegression"
    raise ConfigurationError(f"River has no {name!r}; {hint}")


def _modules() -> list[str]:
    left_out = ("api", "checks", "datasets", "evaluate", "stream", "utils")
    return [m.name for m in iter_modules(_river().__path__) if m.ispkg and m.name not in left_out]


def _river(module: str = "") -> Any:
    try:
        return import_module(f"river.{module}" if module else "river")
    except ImportError as error:
        if (error.name or "").split(".")[0] != "river":
            raise
        raise ConfigurationError(_MISSING) from error
