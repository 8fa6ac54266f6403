"""RTMP: the door most cameras know. The session is plain code (bytes in, bytes out); only server.py does I/O."""
