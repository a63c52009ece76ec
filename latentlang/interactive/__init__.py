"""The interactive explorer: one Python session and one page: in a notebook, served on this computer, or in a file."""
