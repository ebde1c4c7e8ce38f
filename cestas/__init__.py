"""What a pharmacy knows: catalogue, lexicon, entities, categories, baskets, safety; no I/O but its data files."""
