"""Commands that write the generated parts of the repository: requirements and reference pages."""
