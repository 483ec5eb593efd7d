from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ReviewConfig(AppConfig):
    name = "review"

    def ready(self) -> None:
        from feedback.signals import awaits_review, feedback_stored, feedback_storing, feedback_withdrawn
        from predictions.signals import answered, erasing, picture_needed
        from review import receivers, roles

        answered.connect(receivers.open_cases_for_answers)
        feedback_storing.connect(receivers.reject_feedback_after_decision)
        feedback_stored.connect(receivers.count_feedback)
        feedback_withdrawn.connect(receivers.recount_feedback)
        awaits_review.connect(receivers.awaits_review)
        picture_needed.connect(receivers.needs_picture)
        erasing.connect(receivers.erase_case)
        post_migrate.connect(roles.on_post_migrate, sender=self)
