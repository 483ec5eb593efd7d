"""Admin pages for accounts and queues."""

from mlsite.admin.accounts import AccountAdmin
from mlsite.admin.queues import QueueAdmin

__all__ = ["AccountAdmin", "QueueAdmin"]
