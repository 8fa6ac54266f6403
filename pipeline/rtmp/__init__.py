"""The wire of RTMP (Adobe RTMP 1.0, 2012): handshake, chunks, AMF0. Shared by the ingest and the simulator."""
