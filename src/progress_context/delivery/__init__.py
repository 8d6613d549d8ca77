"""How services hear of each other: messages are news of a position, never the data itself."""
