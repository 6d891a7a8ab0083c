"""Pictures of networks, of their training and of their predictions, on matplotlib.

Every function draws into the `ax` that it is given, or into a figure of its own, and returns what
it has drawn into: a `matplotlib.axes.Axes`, or a one-dimensional array of them where the picture
has several panels. Such a picture takes the place of `ax`, which must be a subplot, and divides it.
To keep a picture::

    plots.learning_curves(history)[0].figure.savefig("learning_curves.png")

A notebook shows a figure of its own at the end of the cell. A script that shows its pictures in a
window makes the figure itself: ``fig, ax = plt.subplots(); history.plot(ax); plt.show()``.

matplotlib is imported by the first picture. The extra ``plot`` brings it.
"""

from fastnn.plots.classifiers import calibration, confusion_matrix, precision_recall, roc
from fastnn.plots.columns import importance
from fastnn.plots.curves import learning_curves, learning_rate_range
from fastnn.plots.diagnoses import diagnosis
from fastnn.plots.durations import bar_chart, format_duration
from fastnn.plots.images import least_sure, misclassified, weights
from fastnn.plots.networks import activations, decision_boundary, network
from fastnn.plots.regressions import predicted_vs_true

__all__ = [
    "activations",
    "bar_chart",
    "calibration",
    "confusion_matrix",
    "decision_boundary",
    "diagnosis",
    "format_duration",
    "importance",
    "learning_curves",
    "learning_rate_range",
    "least_sure",
    "misclassified",
    "network",
    "precision_recall",
    "predicted_vs_true",
    "roc",
    "weights",
]
