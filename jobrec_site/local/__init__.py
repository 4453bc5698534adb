"""jobrec on one machine: embedded PostgreSQL and Valkey, a process manager, and the main job from end to end."""
