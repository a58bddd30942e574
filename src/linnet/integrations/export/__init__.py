"""A finished model as a file of another kind: ONNX, MLflow, a page for the browser."""

FORMS = {
    "onnx": "linnet.integrations.export.onnx:export",
    "mlflow": "linnet.integrations.export.mlflow:export",
    "page": "linnet.integrations.export.page:export",
}
"""What ``linnet export RUN --to`` takes; see ``linnet.integrations.export.export``."""

ENDINGS = {"onnx": ".onnx", "mlflow": "-mlflow", "page": ".html"}
"""How the name of each ends, where no name is given; MLflow's is a folder."""

PACKAGES = {"onnx": ("onnx", "onnxruntime", "onnxscript")}
"""The optional packages that a form needs; the extra that installs them has the form's name."""
