"""jobrec on one machine: embedded servers, a process manager, and the main job from end to end."""
