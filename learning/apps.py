from django.apps import AppConfig
from django.db.models.signals import post_migrate


class LearningConfig(AppConfig):
    name = "learning"

    def ready(self) -> None:
        from learning import permissions
        from review import roles

        permissions.register()
        post_migrate.connect(roles.on_post_migrate, sender=self)
