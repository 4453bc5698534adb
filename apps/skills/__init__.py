"""The dictionary of skills, finding skills in texts, and the triggers that maintain the skills of records."""
