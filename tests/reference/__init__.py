"""Reference values made with Keras itself, and the tests that compare distkeras with them."""
