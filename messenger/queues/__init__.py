"""The adapters of the queue port, in memory and over Redis Streams, and the tools that rewrite or clear a queue."""
