"""Tables: a model that takes columns as they are and needs no tuning.

>>> from fastnn.tabular import TabularModel
"""

from fastnn.tabular.columns import Column
from fastnn.tabular.model import TableWarning, TabularModel
from fastnn.tabular.recipe import RECIPE, Recipe
from fastnn.tabular.scores import Confusion

__all__ = ["RECIPE", "Column", "Confusion", "Recipe", "TableWarning", "TabularModel"]
