"""jobrec on one machine: embedded PostgreSQL and Valkey, one process manager, the main job from end to end."""
