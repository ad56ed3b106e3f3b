"""The parts of `python -m models.default.evaluate`: one file per kind of figure. Read context.py first."""
