"""Shared code of tests, benchmarks and screenshots.

- `environment`: the environment variables that tests run with (a pytest plugin)
- `running`: a whole site, started as `make run` starts it
- `own_servers`: a database and a queue for each such site where the tests run on PostgreSQL and Redis
- `processes`: processes that are always stopped, by their ids
- `services`: PostgreSQL and Redis servers; `python -m devtools.services` runs all tests on them
- `load`: clients that send images to a site and check that each is answered once
- `browsing`: headless Chromium
"""
