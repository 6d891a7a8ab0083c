"""Activations: their names, and what the rest of the model must know of them.

The arithmetic is in ``csrc/activations.inc.h``, the textbook form in `fastnn.reference`.
"""

from dataclasses import dataclass

__all__ = ["ACTIVATIONS", "ALIASES", "Activation"]


@dataclass(frozen=True)
class Activation:
    """What is known of an activation by name.

    Parameters
    ----------
    name : str
        What `Dense` and ``hidden=`` know it by.
    formula : str
        Of the output a, in terms of the logit z.
    default_loss : str
        Loss of a network with this output, unless one is named.
    default_initializer : str
        Initializer of a layer with this activation, unless one is named.
    is_classifier : bool
        Whether outputs are probabilities, so that `Network.predict` gives labels.
    output_only : bool
        Whether it mixes the units of a layer and so only stands at the end, with its own loss.

    Examples
    --------
    >>> from fastnn.activations import ACTIVATIONS
    >>> relu = ACTIVATIONS["relu"]
    >>> relu.formula, relu.default_initializer, relu.is_classifier
    ('max(z, 0)', 'he_normal', False)
    >>> [name for name, each in ACTIVATIONS.items() if each.is_classifier]
    ['sigmoid', 'softmax']
    """

    name: str
    formula: str
    default_loss: str = "mean_squared_error"
    default_initializer: str = "glorot_uniform"
    is_classifier: bool = False
    output_only: bool = False


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("linear", "z"),
        Activation(
            "sigmoid",
            "1 / (1 + exp(-z))",
            default_loss="binary_cross_entropy",
            is_classifier=True,
        ),
        Activation("tanh", "tanh(z)"),
        Activation("relu", "max(z, 0)", default_initializer="he_normal"),
        Activation("leaky_relu", "max(z, 0.01 z)", default_initializer="he_normal"),
        Activation("elu", "z if z > 0 else exp(z) - 1", default_initializer="he_normal"),
        Activation(
            "selu",
            "1.0507 (z if z > 0 else 1.6733 (exp(z) - 1))",
            default_initializer="lecun_normal",
        ),
        Activation(
            "gelu", "z Phi(z), Phi the normal distribution", default_initializer="he_normal"
        ),
        Activation("silu", "z sigmoid(z)", default_initializer="he_normal"),
        Activation("mish", "z tanh(log(1 + exp(z)))", default_initializer="he_normal"),
        Activation("softplus", "log(1 + exp(z))", default_initializer="he_normal"),
        Activation("exponential", "exp(z)", default_loss="poisson"),
        Activation(
            "softmax",
            "exp(z) / sum(exp(z)) over the units of the layer",
            default_loss="categorical_cross_entropy",
            is_classifier=True,
            output_only=True,
        ),
    )
}

#: Other names under which the same activations are known.
ALIASES = {
    "identity": "linear",
    "logistic": "sigmoid",
    "swish": "silu",
    "lrelu": "leaky_relu",
    "exp": "exponential",
}
