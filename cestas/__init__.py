"""What a pharmacy knows: catalogue, lexicon, entities, classification, baskets, safety; pure, no clock and no I/O but its data files."""
