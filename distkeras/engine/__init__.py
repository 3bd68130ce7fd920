"""The engine: tensors, the table of primitives, the one dispatch point, the tape and the arenas."""
