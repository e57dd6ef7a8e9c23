"""Other products' forms of flags: what is written to them and read from them, and what did not map."""
