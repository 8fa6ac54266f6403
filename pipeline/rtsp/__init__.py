"""The wire of RTSP and RTP without I/O: messages, sign-in, session description, RTP and its payloads."""
