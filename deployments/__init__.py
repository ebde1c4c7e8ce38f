"""The stages of Balto: each folder is one that scales on its own."""
