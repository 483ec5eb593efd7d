"""Versions whose labels are unions of the labels of another version."""

from worker.inference.grouping.group_file import Group, InvalidGroups, read_groups
from worker.inference.grouping.install import install_group

__all__ = ["Group", "InvalidGroups", "install_group", "read_groups"]
