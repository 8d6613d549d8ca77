"""How events come in: the catalogue of types, CloudEvents, xAPI, the learning day."""
