"""gRPC plumbing shared by both ends of both services: credentials, deadlines, breaker, health, errors."""
