"""The GPU tier: the chain of trainings in slices of a few minutes on a lent machine with torch and numpy alone.

Read __main__.py for the commands, chain.py for the order of the work, ../README.md for the command lines.
"""
