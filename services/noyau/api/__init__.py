"""gRPC servicers, error mapping, protobuf <-> domain."""
