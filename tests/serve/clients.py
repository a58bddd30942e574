"""Public clients of the protocols against a server: ``python clients.py triton|mlflow PORT``.

It reads rows as JSON from standard input, and prints the labels and the probabilities that the
client gives. It needs no linnet, so a client may be installed in an environment of its own.
"""

import json
import sys
from typing import Any


def triton(port: int, rows: list[dict[str, Any]]) -> tuple[list[str], list[list[float]]]:
    import numpy as np
    import tritonclient.http as client

    with client.InferenceServerClient(f"127.0.0.1:{port}") as server:
        assert server.is_server_live() and server.is_server_ready()
        assert server.is_model_ready("table") and not server.is_model_ready("none")
        assert server.get_server_metadata()["name"] == "linnet"
        about = server.get_model_metadata("table")
        kinds = {each["name"]: each["datatype"] for each in about["inputs"]}
        types = {"FP64": np.float64, "BOOL": np.bool_, "BYTES": np.object_}
        inputs = []
        for name, kind in kinds.items():
            tensor = client.InferInput(name, [len(rows)], kind)
            values: Any = np.array([row[name] for row in rows], types[kind])
            tensor.set_data_from_numpy(values, binary_data=False)
            inputs.append(tensor)
        outputs = [
            client.InferRequestedOutput(each["name"], binary_data=False)
            for each in about["outputs"]
        ]
        for wanted in (outputs, None):
            found = server.infer("table", inputs, outputs=wanted, request_id="7")
            assert found.get_response()["id"] == "7"
        version = about["versions"][0]
        again = server.infer("table", inputs, model_version=version)
        assert (again.as_numpy("probabilities") == found.as_numpy("probabilities")).all()
        try:
            server.infer("table", inputs[1:])
        except client.InferenceServerException as error:
            assert "missing" in str(error)
        else:
            raise AssertionError("an input less was accepted")
        labels = [
            label.decode() if isinstance(label, bytes) else str(label)
            for label in found.as_numpy("prediction")
        ]
        return labels, found.as_numpy("probabilities").tolist()


def mlflow(port: int, rows: list[dict[str, Any]]) -> tuple[list[str], list[list[float]]]:
    import pandas as pd
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    server = ScoringServerClient("127.0.0.1", port)
    server.wait_server_ready(timeout=30)
    assert server.get_version()
    frame = pd.DataFrame(rows)
    found = server.invoke(frame).get_predictions()
    told = "it was accepted"
    try:
        server.invoke(frame.drop(columns=["town"]))
    except Exception as error:  # the client raises no other kind
        told = str(error)
    assert "town" in told
    return found["prediction"].tolist(), found[["p_no", "p_yes"]].to_numpy().tolist()


if __name__ == "__main__":
    ask = {"triton": triton, "mlflow": mlflow}[sys.argv[1]]
    print(json.dumps(ask(int(sys.argv[2]), json.load(sys.stdin))))
