"""The cost model: CPU time per request, and the rates and times that follow for any load. See docs/scaling.md."""
