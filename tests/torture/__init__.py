"""The harness that kills: a whole pipeline of real processes, and a verdict in SQL on what is left afterwards."""
