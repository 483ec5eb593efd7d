"""The subcommands of `manage.py model`, in the order of its help. To add one, write a class and add it here."""

from learning.versions.subcommands.activating import Activate
from learning.versions.subcommands.importing import Import
from learning.versions.subcommands.installing import Install
from learning.versions.subcommands.listing import List
from learning.versions.subcommands.subcommand import Subcommand
from learning.versions.subcommands.verifying import Verify

SUBCOMMANDS: tuple[type[Subcommand], ...] = (Install, Import, List, Verify, Activate)
