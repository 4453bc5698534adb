"""The gRPC contracts and their stubs, which `make proto` generates."""

from proto.jobrec.cache.v1 import invalidation_pb2, invalidation_pb2_grpc
from proto.jobrec.embedding.v1 import embedding_pb2, embedding_pb2_grpc

__all__ = ["embedding_pb2", "embedding_pb2_grpc", "invalidation_pb2", "invalidation_pb2_grpc"]
