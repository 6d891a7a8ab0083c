"""scikit-learn: from a fitted MLPClassifier or MLPRegressor."""

from typing import Any

import numpy as np

from fastnn._extras import import_extra
from fastnn.exchange.plain import Part, network_of
from fastnn.layers import Dense
from fastnn.network import Network


def from_sklearn(estimator: Any) -> Network:
    """The network of a fitted multilayer perceptron of scikit-learn.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor
        Fitted; one of fastnn has its network as ``estimator.network_``.

    Returns
    -------
    Network
        With the weights of the estimator, of its dtype. Its loss is that of the estimator; how it
        was trained, and its penalty, stay behind. Its seed is 0.

    Raises
    ------
    TypeError
        If `estimator` is neither of them.
    ValueError
        If it is not fitted yet, or fastnn has no such network.
    ImportError
        If scikit-learn is not installed.

    Notes
    -----
    `predict` of a classifier gives the number of the class: ``estimator.classes_[net.predict(X)]``
    are the labels. With two classes, `predict_proba` has the column of the second one alone.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.exchange import from_sklearn
    >>> from sklearn.neural_network import MLPClassifier
    >>> X, y = np.array([[0.0], [1.0]]), ["no", "yes"]
    >>> estimator = MLPClassifier(solver="lbfgs", random_state=0).fit(X, y)
    >>> net = from_sklearn(estimator)
    >>> estimator.classes_[net.predict(X)]
    array(['no', 'yes'], dtype='<U3')
    """
    neural_network = import_extra("sklearn.neural_network", "scikit-learn", "sklearn")
    if not isinstance(estimator, (neural_network.MLPClassifier, neural_network.MLPRegressor)):
        raise TypeError(
            f"estimator must be an MLPClassifier or MLPRegressor of scikit-learn, "
            f"got {type(estimator).__name__}"
        )
    if not hasattr(estimator, "coefs_"):
        raise ValueError("estimator is not fitted yet: call its fit first")
    parts = []
    for i, (weights, bias) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
        is_last = i == len(estimator.coefs_) - 1
        activation = estimator.out_activation_ if is_last else estimator.activation
        layer = Dense(weights.shape[1], activation)
        parts.append(Part(f"coefs_[{i}]", layer, weights, bias))
    return network_of(parts, np.result_type(*estimator.coefs_))
