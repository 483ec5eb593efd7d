"""Admin pages for accounts and queues, and the login."""

from django.contrib import admin

from mlsite.admin.accounts import AccountAdmin
from mlsite.admin.queues import QueueAdmin
from mlsite.logins import BoundedLoginForm

__all__ = ["AccountAdmin", "QueueAdmin"]

admin.site.login_form = BoundedLoginForm
admin.site.enable_nav_sidebar = False  # the lists need its width
