"""Small data sets, as `keras.datasets`: `load_data()` returns two pairs of NumPy arrays.

Nothing here opens a network connection. `digits` and `iris` ship in the package; `mnist` reads
files that are already on this machine.
"""

from distkeras.utils.lazy import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(__name__, {}, ("digits", "iris", "mnist"))
