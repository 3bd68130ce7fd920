"""Native code for what NumPy computes in many passes."""
