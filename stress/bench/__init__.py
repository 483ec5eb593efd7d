"""Benchmarks: what the batch worker costs, and how near the whole system comes to what the machine can do.

    make bench ARGS="bookkeeping ceiling"

Each measures in processes of its own, compares side by side and in turns, and says its goals beside what it found. The
figures go to the screen, to `results.json`, and to docs/performance.md. They mean something on an idle machine only.
"""
