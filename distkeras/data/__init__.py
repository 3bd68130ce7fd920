"""From what a user passes to `fit` to the rows that this rank computes on."""
