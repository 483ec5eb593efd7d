"""What happens to model versions: the subcommands of `manage.py model`, and pages for leads."""
