"""MLflow's scoring protocol: ``/invocations``.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally: JSON with exactly one of
``dataframe_split``, ``dataframe_records``, ``instances`` and ``inputs``, or CSV. The answer is
``{"predictions": [...]}``, an object for each row.
"""

from __future__ import annotations

from typing import Any

from linnet.core.text import literal
from linnet.fit.runtime import Encoded, Runtime
from linnet.insight.shares import MANY
from linnet.serve.answers import answers, dumps, told
from linnet.serve.inputs import (
    CSV,
    JSON,
    Body,
    encoded,
    of_json,
    of_records,
    parsed,
    split,
    transposed,
    unknown_type,
    within,
)
from linnet.serve.limits import Limits
from linnet.serve.models import Model
from linnet.serve.refused import Refused
from linnet.serve.work import Flag

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def invoke(model: Model, body: Body, limits: Limits, flag: Flag) -> bytes:
    """``POST /invocations``."""
    runtime = model.runtime
    if body.type == CSV:
        rows = encoded(runtime, body, limits)
    elif body.type == JSON:
        rows = within(_of_json(runtime, parsed(body.content, limits), limits), limits)
    else:
        raise unknown_type(body.type, [JSON, CSV])
    found = answers(runtime, rows, model.block, flag)
    many = len(runtime.schema.classes) > MANY
    answer: dict[str, Any] = {"predictions": [_record(each, many) for each in told(runtime, found)]}
    if found.notes:
        answer["notes"] = list(found.notes)
    return dumps(answer)


def _record(row: dict[str, Any], many: bool) -> Any:
    """One row of the answer, flat, as ``linnet export --to mlflow`` has it: ``prediction`` and
    ``p_<class>`` (of very many classes ``p``, the largest), or the number of each of several
    targets."""
    value = row["prediction"]
    if isinstance(value, dict):
        return value
    shares = row.get("probabilities", {})
    if many:
        return {"prediction": value, "p": max(shares.values())}
    return {"prediction": value, **{f"p_{name}": p for name, p in shares.items()}}


def _of_json(runtime: Runtime, value: Any, limits: Limits) -> Encoded:
    if not isinstance(value, dict):
        raise Refused(400, f"the body is {literal(value)}; expected an object with one of {_KNOWN}")
    given = [name for name in FORMS if name in value]
    if len(given) != 1:
        what = f"{' and '.join(given)} at once" if given else "none of them"
        raise Refused(400, f"expected exactly one of {_KNOWN}; found {what}")
    if value.get("params"):
        raise Refused(400, f"the model takes no params; given {literal(value['params'])}")
    other = [name for name in value if name not in (*FORMS, "params")]
    if other:
        raise Refused(400, f"unknown key {literal(other[0])}; expected one of {_KNOWN}")
    name, content = given[0], value[given[0]]
    if name == "dataframe_split":
        return _split(runtime, content, limits)
    if name == "dataframe_records":
        if not isinstance(content, list):
            raise Refused(400, f"dataframe_records is {literal(content)}; expected a list of rows")
        return of_records(runtime, content, limits)
    if isinstance(content, dict):
        columns = {key: each if isinstance(each, list) else [each] for key, each in content.items()}
        return of_records(runtime, transposed(columns), limits)
    if not isinstance(content, list):
        raise Refused(400, f"{name} is {literal(content)}; expected rows, or columns by name")
    return of_json(runtime, content, limits)


_KNOWN = ", ".join(FORMS)


def _split(runtime: Runtime, content: Any, limits: Limits) -> Encoded:
    if not isinstance(content, dict) or "data" not in content:
        raise Refused(400, "dataframe_split has no data; expected columns and data")
    if "columns" not in content:
        if not isinstance(content["data"], list):
            raise Refused(400, "the data of dataframe_split is no list of lists")
        return of_json(runtime, content["data"], limits)
    schema = runtime.schema
    rows = split([str(name) for name in _listed(content["columns"])], content["data"])
    if not schema.tabular and not schema.columns:  # columns without names come as 0, 1, ...
        return of_json(runtime, [list(row.values()) for row in rows], limits)
    return of_records(runtime, rows, limits)


def _listed(names: Any) -> list[Any]:
    if not isinstance(names, list) or not all(isinstance(each, (str, int)) for each in names):
        raise Refused(400, "the columns of dataframe_split are no list of names")
    return names
