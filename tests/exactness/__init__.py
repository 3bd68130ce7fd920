"""Trainings whose numbers must not depend on the number of ranks; see `table.py`."""
