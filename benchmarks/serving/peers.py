"""The peers of ``run.py``: the same model as an ONNX file behind FastAPI and behind LitServe.

    python peers.py fastapi|litserve MODEL.onnx PORT

Each takes ``POST /predict`` with a list of rows (objects by column; LitServe wants an object around
it), and answers labels and probabilities. It is what one would write by hand: no limits, no notes,
no checks but pydantic's.
"""

import sys
from typing import Any

import numpy as np
import onnxruntime


class Onnx:
    """An exported model: rows in, labels and probabilities out."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.inputs = {each.name: each.type for each in self.session.get_inputs()}

    def __call__(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        given = {}
        for name, kind in self.inputs.items():
            values = [row[name] for row in rows]
            if kind == "tensor(string)":
                texts = ["" if value is None else str(value) for value in values]
                given[name] = np.array(texts, object)[:, None]
            elif kind == "tensor(int64)":
                given[name] = np.array(values, np.int64)[:, None]
            else:
                type_ = np.float64 if kind == "tensor(double)" else np.float32
                given[name] = np.array(values, type_)[:, None]
        label, p = self.session.run(None, given)[:2]
        return [
            {"prediction": one, "probabilities": shares}
            for one, shares in zip(np.ravel(label).tolist(), p.tolist(), strict=True)
        ]


def fastapi(path: str, port: int) -> None:
    import uvicorn
    from fastapi import FastAPI
    from pydantic import create_model

    model = Onnx(path)
    kinds = {"tensor(string)": str | int | None, "tensor(int64)": int}
    fields = {name: (kinds.get(kind, float | None), ...) for name, kind in model.inputs.items()}
    row = create_model("Row", **fields)  # type: ignore[call-overload]
    app = FastAPI()

    def predict(rows: list[Any]) -> dict[str, Any]:
        return {"predictions": model([each.model_dump() for each in rows])}

    async def handler(rows):  # type: ignore[no-untyped-def]
        return predict(rows)

    handler.__annotations__ = {"rows": list[row]}
    app.post("/predict")(handler)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="critical", access_log=False)


class Api:
    """The model for LitServe, in a process of its own."""

    path = sys.argv[2]

    def setup(self, device: str) -> None:
        self.model = Onnx(self.path)

    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return request["rows"]  # LitServe takes objects

    def predict(self, rows: Any) -> Any:
        return self.model(rows)

    def encode_response(self, output: Any) -> Any:
        return {"predictions": output}


if sys.argv[1] == "litserve":  # also in the process of the model, which imports this file
    import litserve as ls

    class LitApi(Api, ls.LitAPI):  # type: ignore[misc]
        pass


def litserve(path: str, port: int) -> None:
    server = ls.LitServer(LitApi(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=port, log_level="critical", generate_client_file=False,
               num_api_servers=1)  # fmt: skip


if __name__ == "__main__":
    {"fastapi": fastapi, "litserve": litserve}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
