"""What providers that fail, stall or dawdle cost a customer, and what the layer between them is worth."""
