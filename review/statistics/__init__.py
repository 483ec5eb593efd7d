"""What the reviewing desk knows about the model: counted, estimated, drawn."""
