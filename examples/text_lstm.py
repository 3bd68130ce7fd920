"""Which package of Python's library does a docstring come from? Embedding, masks and an LSTM."""

import argparse
import ast
import re
import sysconfig
from collections import Counter
from pathlib import Path

import numpy as np

import distkeras as keras
from distkeras import layers

PACKAGES = ("asyncio", "email", "unittest", "xml")
LENGTH, WORDS = 40, 2000


def docstrings(package: str) -> list[list[str]]:
    """The words of all docstrings in a package's source files, four words or more each."""
    found = []
    for path in sorted((Path(sysconfig.get_path("stdlib")) / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8", errors="replace"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                words = re.findall(r"[a-z]+", (ast.get_docstring(node) or "").lower())
                if len(words) >= 4:
                    found.append(words)
    return found


def load():
    """Word numbers (0 pads, 1 is any rare word) and labels; a fifth of all for the test."""
    texts = [(words, label) for label, name in enumerate(PACKAGES) for words in docstrings(name)]
    common = Counter(word for words, _ in texts for word in words).most_common(WORDS - 2)
    ordered = sorted(common, key=lambda item: (-item[1], item[0]))
    number = {word: i + 2 for i, (word, _) in enumerate(ordered)}
    x = np.zeros((len(texts), LENGTH), "int32")
    y = np.array([label for _, label in texts], "int32")
    for row, (words, _) in zip(x, texts, strict=True):
        row[: min(len(words), LENGTH)] = [number.get(w, 1) for w in words[:LENGTH]]
    order = np.random.default_rng(0).permutation(len(x))
    cut = len(x) * 4 // 5
    return (x[order[:cut]], y[order[:cut]]), (x[order[cut:]], y[order[cut:]])


def main(epochs: int = 8) -> float:
    """Train and evaluate; returns the test accuracy."""
    keras.utils.set_random_seed(1)
    (x_train, y_train), (x_test, y_test) = load()
    print(f"{len(x_train)} docstrings to train on, {len(x_test)} to test on")
    model = keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            layers.Embedding(WORDS, 32, mask_zero=True),
            layers.LSTM(32),
            layers.Dense(len(PACKAGES), activation="softmax"),
        ]
    )
    adam = keras.optimizers.Adam(3e-3, clipnorm=0.5)
    model.compile(optimizer=adam, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    test = (x_test, y_test)
    model.fit(x_train, y_train, epochs=epochs, batch_size=32, validation_data=test, verbose=2)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"test accuracy: {accuracy:.4f}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    main(parser.parse_args().epochs)
