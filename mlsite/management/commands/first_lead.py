"""`manage.py first_lead`: the account that a new site starts with."""

from typing import Any

from django.core.management.base import BaseCommand

from mlsite import accounts


class Command(BaseCommand):
    help = "Makes a lead, who may review and manage reviewers, where there is none yet. Shows the password, once."

    def handle(self, *args: Any, **options: Any) -> None:
        login = accounts.create_first_lead()
        if login is None:
            self.stdout.write("There is a lead already. Another password: manage.py changepassword NAME")
            return
        self.stdout.write(f"name {login[0]}, password {login[1]}   (shown this once)")
