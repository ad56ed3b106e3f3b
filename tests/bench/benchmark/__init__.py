"""The project's benchmark: caches against the best uncached solver at equal time, on held-out prompts.

`make benchmark` runs `__main__.py`: it completes arms.json by tables and settings that fit the weights (thresholds.py),
lets `bwcache-gen bench` measure every arm on prompts.jsonl, reads its rows (rows.py), asks the attribute classifier
(accuracy.py), compares (gain.py on resampling.py), and writes tables and plot (report.py, plot.py, page.py).
docs/benchmarks.md explains the protocol.
"""
