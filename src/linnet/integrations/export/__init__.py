"""A finished model as a file of another kind: ONNX, MLflow, a page for the browser."""

FORMS = {
    "onnx": "linnet.integrations.export.onnx:export",
    "mlflow": "linnet.integrations.export.mlflow:export",
    "page": "linnet.integrations.export.page:export",
}
"""What ``linnet export RUN --to`` takes; see ``linnet.integrations.export.export``."""
