"""Source text: what is read, what it means, what is refused and how."""
