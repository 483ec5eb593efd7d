from django.apps import AppConfig


class FeedbackConfig(AppConfig):
    name = "feedback"

    def ready(self) -> None:
        from feedback import checks, receivers  # noqa: F401 - importing the checks registers them
        from predictions import signals

        signals.erasing.connect(receivers.erase_words)
        signals.erasures_finishing.connect(receivers.remove_erased_lines)
