from django.apps import AppConfig


class FeedbackConfig(AppConfig):
    name = "feedback"

    def ready(self) -> None:
        from feedback import checks  # noqa: F401 - registers them
        from feedback.review import opening
        from predictions.signals import answered

        answered.connect(opening.on_answered)
