"""Clients for live updates: WebSocket and server-sent events over plain sockets."""
