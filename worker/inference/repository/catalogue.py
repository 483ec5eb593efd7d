"""The models that can be installed, by name."""

from __future__ import annotations

import difflib

from worker.inference.repository import efficientnet_lite, keras_applications
from worker.inference.repository.errors import UnknownModel
from worker.inference.repository.recipe import Recipe

_ALL: tuple[Recipe, ...] = (*efficientnet_lite.RECIPES, *keras_applications.RECIPES)
RECIPES = {recipe.name: recipe for recipe in _ALL}


def find(name: str) -> Recipe:
    """The recipe of this name, which may be in upper or lower case.

    Raises:
        UnknownModel: there is none; the message lists similar names, or else all.
    """
    recipe = RECIPES.get(name.lower())
    if recipe is None:
        near = difflib.get_close_matches(name.lower(), RECIPES, n=4, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"available: {', '.join(RECIPES)}"
        raise UnknownModel(f"no model is named {name!r}; {hint}")
    return recipe
