"""What identifies a person, taken out of what was said: pure, in linear time, by rules and check digits."""
