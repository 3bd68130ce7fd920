"""Write all reference files."""

from . import (
    compiling,
    configs,
    dtypes,
    files,
    layers,
    objectives,
    operations,
    signatures,
    training,
)

PARTS = (
    dtypes,
    operations,
    training,
    compiling,
    objectives,
    layers,
    configs,
    files,
    signatures,
)

for part in PARTS:
    part.main()
