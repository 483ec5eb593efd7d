"""int8 versions of installed versions: making them, comparing them with their base, and the page that shows it."""
