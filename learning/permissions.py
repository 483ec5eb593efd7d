"""What the roles of the reviewing desk may do with data sets."""

from review import roles


def register() -> None:
    """Adds the permissions of this package to the roles, which `post_migrate` then writes to the groups."""
    roles.ROLES[roles.LEADS][("learning", "export")] = ("view_export", "add_export", "delete_export")
