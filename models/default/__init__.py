"""The default text-to-video model: its data, its networks and their training."""
