"""Permissions on data sets, models and reports for the roles of the reviewing desk."""

from review import roles


def register() -> None:
    """Adds this package's permissions to the roles. `post_migrate` then writes them to the groups."""
    roles.ROLES[roles.LEADS][("learning", "export")] = ("view_export", "add_export", "delete_export")
    roles.ROLES[roles.LEADS][("learning", "quantization")] = ("view_quantization",)
    roles.ROLES[roles.LEADS][("learning", "installedmodel")] = ("view_installedmodel", "activate_installedmodel")
