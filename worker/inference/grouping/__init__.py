"""Versions whose labels are unions of the labels of another version."""

from worker.inference.grouping.group_file import InvalidGroups, LabelGroup, read_groups
from worker.inference.grouping.install import install_group

__all__ = ["LabelGroup", "InvalidGroups", "install_group", "read_groups"]
