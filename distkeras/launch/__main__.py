"""`python -m distkeras.launch`."""

import sys

from distkeras.launch import main

if __name__ == "__main__":
    sys.exit(main())
