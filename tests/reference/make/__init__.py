"""Programs that write `tests/reference/data`; they need Keras 3.15.1 on PyTorch (see README.md)."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ["COLUMNS"] = "140"
