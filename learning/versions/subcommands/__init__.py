"""The subcommands of `manage.py model`, in the order of its help. To add one, write a class and add it here."""

from learning.versions.subcommands.activating import Activate, Rollback
from learning.versions.subcommands.exporting import ExportVersion
from learning.versions.subcommands.grouping import Group
from learning.versions.subcommands.importing import Import
from learning.versions.subcommands.installing import Install
from learning.versions.subcommands.listing import List
from learning.versions.subcommands.measuring import Measure
from learning.versions.subcommands.quantizing import Quantize
from learning.versions.subcommands.removing import Remove
from learning.versions.subcommands.showing import ShowVersion
from learning.versions.subcommands.subcommand import Subcommand
from learning.versions.subcommands.verifying import Verify

SUBCOMMANDS: tuple[type[Subcommand], ...] = (
    Install,
    Import,
    Group,
    Quantize,
    ExportVersion,
    List,
    ShowVersion,
    Verify,
    Measure,
    Activate,
    Rollback,
    Remove,
)
