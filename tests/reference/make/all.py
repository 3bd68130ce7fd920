"""Write all reference files."""

from . import compiling, configs, dtypes, files, layers, objectives, operations, training

for part in (dtypes, operations, training, compiling, objectives, layers, configs, files):
    part.main()
