"""Load and benchmarks: how fast the site is, and why. Not part of an installed site.

- `locustfile`, `users`, `recorder`: simulated users for any running site, and the latencies that they see
- `matrix`: measures users x workers x batch size x engine, with a freshly started site for each cell (`make stress`)
- `report`: writes report.md and its plots from the results of the matrix
- `bench`: seven benchmarks of single parts and of the whole site (`make bench`, docs/performance.md)
- `tables`, `photos`: the tables of all of these, and the photos that they send
"""
