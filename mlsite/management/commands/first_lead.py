"""`manage.py first_lead`: creates the first account of a new site."""

from typing import Any

from django.core.management.base import BaseCommand

from mlsite import accounts


class Command(BaseCommand):
    help = "Creates a lead, who may review and manage reviewers, if there is none. Shows the password once."

    def handle(self, *args: Any, **options: Any) -> None:
        login = accounts.create_first_lead()
        if login is None:
            self.stdout.write("A lead exists already. To set another password: manage.py changepassword NAME")
            return
        self.stdout.write(f"name {login[0]}, password {login[1]}   (shown only once)")
