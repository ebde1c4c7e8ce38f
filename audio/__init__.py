"""Signal code of the counter: frames, gate, segmenter, cleaning, metrics, decoding; pure, no clock and no I/O."""
