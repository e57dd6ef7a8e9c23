"""Examples of how Signalbox is used."""
