"""Benchmarks: the overhead of the batch worker, and the whole system compared with the classifier alone.

    make bench ARGS="bookkeeping ceiling"

Each benchmark measures separate processes in alternating rounds, and compares the results with its goals. The figures
go to the screen, to `results.json`, and to docs/performance.md. They mean something only on an idle machine.
"""
