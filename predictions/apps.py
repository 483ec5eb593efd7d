from django.apps import AppConfig
from django.conf import settings


class PredictionsConfig(AppConfig):
    name = "predictions"

    def ready(self) -> None:
        from worker.inference.decoding_memory import DECODING_MEMORY

        DECODING_MEMORY.limit = settings.DECODE_MEMORY_BYTES
