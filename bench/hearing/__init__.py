"""How well Balto hears, measured against exact truth beside other chains."""
