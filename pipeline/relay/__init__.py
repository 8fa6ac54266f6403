"""The relay: copies of streams to other RTMP servers, by rule. A reader of the hub like any viewer."""
