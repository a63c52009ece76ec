"""What the training of five papers does to the layers of one model, side by side."""
