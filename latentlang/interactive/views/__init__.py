"""The explorer's views, one module each."""
