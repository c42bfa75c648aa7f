"""Training of predictors. Torch is imported in ``fit.py`` and nowhere else, and only `forestall train` needs it."""
