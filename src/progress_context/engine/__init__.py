"""The projection engine: a read model is one SELECT, the engine binds its inputs."""
