"""Layers and the shapes of samples they are called on: all are held to the same contract."""

import distkeras as keras

layers = keras.layers

# (name, how the layer is made, the shape of one sample or a list of them)
CASES = [
    ("Dense", lambda: layers.Dense(3, activation="relu"), (4,)),
    ("Dense rank 4", lambda: layers.Dense(3, use_bias=False), (2, 5, 4)),
    ("EinsumDense", lambda: layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d"), (6, 4)),
    ("EinsumDense ...", lambda: layers.EinsumDense("...x,xy->...y", 5), (3, 6, 4)),
    ("Identity", lambda: layers.Identity(), (3, 2)),
    ("Flatten", lambda: layers.Flatten(), (3, 2, 4)),
    ("Flatten first", lambda: layers.Flatten(data_format="channels_first"), (3, 2, 4)),
    ("Flatten scalars", lambda: layers.Flatten(), ()),
    ("Reshape", lambda: layers.Reshape((2, -1)), (3, 4)),
    ("Reshape plain", lambda: layers.Reshape((6, 2)), (3, 4)),
    ("Permute", lambda: layers.Permute((3, 1, 2)), (2, 3, 4)),
    ("RepeatVector", lambda: layers.RepeatVector(3), (4,)),
    ("Masking", lambda: layers.Masking(0.5), (5, 4)),
    ("Activation", lambda: layers.Activation("tanh"), (3, 2)),
    ("ReLU", lambda: layers.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.5), (3, 2)),
    ("LeakyReLU", lambda: layers.LeakyReLU(0.2), (3, 2)),
    ("PReLU", lambda: layers.PReLU(shared_axes=[1]), (3, 2)),
    ("ELU", lambda: layers.ELU(0.5), (3, 2)),
    ("Softmax", lambda: layers.Softmax(axis=1), (3, 2)),
    ("Softmax axes", lambda: layers.Softmax(axis=(1, 2)), (3, 2)),
    ("Rescaling", lambda: layers.Rescaling([2.0, 3.0], offset=1.0), (3, 2)),
    ("Dropout", lambda: layers.Dropout(0.5, noise_shape=(None, 1)), (4,)),
    ("AlphaDropout", lambda: layers.AlphaDropout(0.5), (4,)),
    ("GaussianDropout", lambda: layers.GaussianDropout(0.5), (4,)),
    ("GaussianNoise", lambda: layers.GaussianNoise(0.5), (4,)),
    ("SpatialDropout1D", lambda: layers.SpatialDropout1D(0.5), (5, 4)),
    ("SpatialDropout2D", lambda: layers.SpatialDropout2D(0.5, "channels_first"), (2, 5, 4)),
    ("SpatialDropout3D", lambda: layers.SpatialDropout3D(0.5), (2, 5, 4, 3)),
    ("ActivityRegularization", lambda: layers.ActivityRegularization(l1=0.1), (4,)),
    ("BatchNormalization", lambda: layers.BatchNormalization(), (3, 2)),
    ("BatchNormalization axis", lambda: layers.BatchNormalization(axis=1), (3, 2, 4)),
    ("BatchNormalization renorm", lambda: layers.BatchNormalization(renorm=True), (3,)),
    ("LayerNormalization", lambda: layers.LayerNormalization(), (3, 4)),
    ("LayerNormalization axes", lambda: layers.LayerNormalization(axis=[1, 2]), (3, 4)),
    ("LayerNormalization inner", lambda: layers.LayerNormalization(axis=1), (3, 4)),
    ("RMSNormalization", lambda: layers.RMSNormalization(), (3, 4)),
    ("GroupNormalization", lambda: layers.GroupNormalization(2), (3, 4)),
    ("GroupNormalization first", lambda: layers.GroupNormalization(2, axis=1), (4, 3, 2)),
    ("UnitNormalization", lambda: layers.UnitNormalization(), (3, 4)),
    ("Normalization", lambda: layers.Normalization(mean=1.0, variance=4.0), (3, 4)),
    ("SimpleRNN", lambda: layers.SimpleRNN(3), (5, 4)),
    ("LSTM", lambda: layers.LSTM(3, return_sequences=True), (5, 4)),
    ("LSTM backwards", lambda: layers.LSTM(3, go_backwards=True, return_sequences=True), (5, 4)),
    ("GRU", lambda: layers.GRU(3, reset_after=False), (5, 4)),
    ("GRU dropout", lambda: layers.GRU(3, dropout=0.3, recurrent_dropout=0.2, seed=1), (5, 4)),
    ("RNN", lambda: layers.RNN(layers.SimpleRNNCell(3)), (5, 4)),
    ("RNN stacked", lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]), (5, 4)),
    ("Bidirectional", lambda: layers.Bidirectional(layers.LSTM(3)), (5, 4)),
    (
        "Bidirectional sum",
        lambda: layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode="sum"),
        (5, 4),
    ),
    ("TimeDistributed", lambda: layers.TimeDistributed(layers.Dense(2)), (5, 4)),
    ("Add", lambda: layers.Add(), [(3, 4), (3, 1), (4,)]),
    ("Subtract", lambda: layers.Subtract(), [(3, 4), (3, 4)]),
    ("Multiply", lambda: layers.Multiply(), [(3, 4), (3, 4)]),
    ("Average", lambda: layers.Average(), [(3, 4), (3, 4), (3, 4)]),
    ("Maximum", lambda: layers.Maximum(), [(3, 4), (3, 4)]),
    ("Minimum", lambda: layers.Minimum(), [(3, 4), (3, 4)]),
    ("Concatenate", lambda: layers.Concatenate(axis=1), [(3, 4), (2, 4)]),
    ("Dot", lambda: layers.Dot(axes=(2, 1)), [(3, 4), (4, 2)]),
    ("Dot vectors", lambda: layers.Dot(axes=1, normalize=True), [(4,), (4,)]),
    ("Lambda", lambda: layers.Lambda(double), (3, 4)),
]


@keras.saving.register_keras_serializable("layer_tests")
def double(x):
    """Twice the argument, under a name that a file can hold."""
    return x * 2
