"""Skills, their categories and aliases, and finding them in text."""
