"""Two libraries that do not import each other: `inference` (images to labels) and `rq_batch` (a batching RQ worker)."""
