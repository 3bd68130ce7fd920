"""The plugin's entry point: names what it brings, and imports none of it."""

from distkeras.plugins import hookimpl


@hookimpl
def distkeras_register(registry):
    """Name the layer, the activation and the callback."""
    registry.add("layer", "FeatureScale", "distkeras_example.layers:FeatureScale")
    registry.add("activation", "snake", "distkeras_example.activations:snake")
    registry.add("callback", "EpochTimer", "distkeras_example.callbacks:EpochTimer")


@hookimpl
def distkeras_report_header():
    """A line for `distkeras plugins`."""
    return "an example: copy it to begin a plugin of your own"
