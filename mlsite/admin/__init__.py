"""What the site itself adds to the admin."""

from mlsite.admin.accounts import AccountAdmin
from mlsite.admin.queues import QueueAdmin

__all__ = ["AccountAdmin", "QueueAdmin"]
