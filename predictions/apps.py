from django.apps import AppConfig
from django.conf import settings


class PredictionsConfig(AppConfig):
    name = "predictions"

    def ready(self) -> None:
        from predictions import checks  # noqa: F401 - the import registers the check
        from worker.inference.decoding_memory import DECODING_MEMORY

        DECODING_MEMORY.limit = settings.DECODE_MEMORY_BYTES
