"""gRPC for clients and servers alike: credentials, deadlines, circuit breaker, health, errors."""
