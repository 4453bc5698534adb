"""The torture test: kills processes of a real pipeline, and then checks in SQL that nothing was lost."""
