"""The people's door: HTTP, WebSocket, sign-in, permissions and the command line."""
