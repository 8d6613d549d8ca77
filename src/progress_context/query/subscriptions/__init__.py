"""Live updates: GraphQL subscriptions over WebSocket and server-sent events."""
