"""`keras.callbacks`: code that runs at events of training. Names are imported on first use.

`NAMES` is the table of public names; the registry reads it through the plugin hook.
"""

from distkeras.registry import plugin_attribute
from distkeras.utils.lazy import lazy_attributes

NAMES = {
    "distkeras.callbacks.backup_and_restore": ("BackupAndRestore",),
    "distkeras.callbacks.callback": ("Callback",),
    "distkeras.callbacks.callback_list": ("CallbackList",),
    "distkeras.callbacks.csv_logger": ("CSVLogger",),
    "distkeras.callbacks.early_stopping": ("EarlyStopping",),
    "distkeras.callbacks.history": ("History",),
    "distkeras.callbacks.lambda_callback": ("LambdaCallback",),
    "distkeras.callbacks.learning_rate_scheduler": ("LearningRateScheduler",),
    "distkeras.callbacks.model_checkpoint": ("ModelCheckpoint",),
    "distkeras.callbacks.progbar_logger": ("ProgbarLogger",),
    "distkeras.callbacks.reduce_lr_on_plateau": ("ReduceLROnPlateau",),
    "distkeras.callbacks.terminate_on_nan": ("TerminateOnNaN",),
}

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__, NAMES, fallback=plugin_attribute(__name__, "callback")
)
